-- What the gateway has on disk and what of it the cloud has confirmed.
CREATE TABLE recordings (
    id          TEXT    NOT NULL PRIMARY KEY, -- header hash, hex
    camera      TEXT    NOT NULL,
    rendition   TEXT    NOT NULL,
    epoch       TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,             -- ms since 1970
    ended_at    INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    path        TEXT    NOT NULL,             -- below the data folder
    report      TEXT    NOT NULL,             -- RECORDING of protocol.md, JSON
    state       INTEGER NOT NULL              -- 0 kept here, 1 uploaded, 2 confirmed, 3 damaged, 4 refused
) STRICT;
CREATE INDEX recordings_by_state ON recordings (state, started_at);
CREATE INDEX recordings_by_age ON recordings (started_at);
CREATE INDEX recordings_by_stream ON recordings (camera, rendition, ended_at);

-- Written before the first chunk of their epoch.
CREATE TABLE grants (
    epoch       TEXT    NOT NULL,
    device      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    envelope    TEXT    NOT NULL,             -- JSON
    indexed     INTEGER NOT NULL DEFAULT 0,   -- the cloud's index has it
    uploaded    INTEGER NOT NULL DEFAULT 0,   -- 1 the store has it, 2 refused
    PRIMARY KEY (epoch, device)
) STRICT;

CREATE TABLE gaps (
    id          INTEGER NOT NULL PRIMARY KEY,
    gap         TEXT    NOT NULL              -- GAP of protocol.md, JSON
) STRICT;
