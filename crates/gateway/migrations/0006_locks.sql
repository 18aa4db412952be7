-- Bookmarks that lock recordings against retention, and those that did.
CREATE TABLE locks (
    bookmark    TEXT    NOT NULL PRIMARY KEY,
    camera      TEXT    NOT NULL,
    from_at     INTEGER NOT NULL,             -- ms since 1970
    to_at       INTEGER NOT NULL,
    holds       INTEGER NOT NULL,             -- 0: lifted, or over
    until_at    INTEGER,                      -- null: until it is lifted
    issued_at   INTEGER NOT NULL,
    person      TEXT    NOT NULL,             -- who made it
    order_hash  TEXT    NOT NULL              -- of the bookmark's payload, hex
) STRICT;
CREATE INDEX locks_by_camera ON locks (camera, to_at) WHERE holds = 1;

-- 1: a lock holds it.
ALTER TABLE recordings ADD COLUMN locked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX recordings_to_spare ON recordings (state, locked, started_at, id);
CREATE INDEX recordings_locked ON recordings (bytes) WHERE locked = 1;
