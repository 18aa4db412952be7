-- Recordings that reach into an event go first, and may be all that goes.
ALTER TABLE recordings ADD COLUMN of_event INTEGER NOT NULL DEFAULT 0;
CREATE INDEX recordings_by_lane ON recordings (state, of_event, started_at);

-- When something happened at a camera.
CREATE TABLE events (
    id          INTEGER NOT NULL PRIMARY KEY,
    camera      TEXT    NOT NULL,
    from_at     INTEGER NOT NULL,             -- ms since 1970
    to_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_camera ON events (camera, to_at);

-- What site.json says, beside the rows that it decides about.
CREATE TABLE forwarding (
    camera      TEXT    NOT NULL,
    rendition   TEXT    NOT NULL,
    forward     TEXT    NOT NULL,             -- always, events, never
    PRIMARY KEY (camera, rendition)
) STRICT;
