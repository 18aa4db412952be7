-- Whether an index of its hour lists it (format.md section 5.4): 0 no, 1 yes,
-- 2 as a recording that is here alone.
ALTER TABLE recordings ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX recordings_unlisted ON recordings (started_at, camera, state) WHERE listed = 0;

-- Gaps that no index of an hour lists yet. One that goes on has one row.
CREATE TABLE unlisted_gaps (
    camera      TEXT    NOT NULL,
    rendition   TEXT    NOT NULL,
    from_at     INTEGER NOT NULL,             -- ms since 1970
    to_at       INTEGER NOT NULL,
    gap         TEXT    NOT NULL,             -- GAP of protocol.md, JSON
    grew_at     INTEGER NOT NULL,
    PRIMARY KEY (camera, rendition, from_at)
) STRICT;
CREATE INDEX unlisted_gaps_by_rest ON unlisted_gaps (grew_at);

-- Indexes of hours that wait for the store or the cloud, and of each camera the
-- newest, which the next one names.
CREATE TABLE hours (
    name        TEXT    NOT NULL PRIMARY KEY, -- of the object
    camera      TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    hash        TEXT    NOT NULL,
    envelope    TEXT    NOT NULL,             -- JSON
    state       INTEGER NOT NULL DEFAULT 0    -- 0 made, 1 uploaded, 2 confirmed, 3 refused
) STRICT;
CREATE INDEX hours_by_state ON hours (state, camera, number);
CREATE INDEX hours_by_camera ON hours (camera, number);
