-- What other systems are told, kept for replays: 72 hours at most. In the clear:
-- it is what leaves in the clear anyway (docs/design/0020).
CREATE TABLE events (
    cursor      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,             -- ms since 1970
    event       TEXT    NOT NULL,
    phase       TEXT    NOT NULL,             -- began, ended, happened
    camera      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    message     TEXT    NOT NULL              -- gateway_core::webhooks::EventMessage, JSON
) STRICT;
CREATE INDEX events_by_age ON events (at);
CREATE INDEX events_by_event ON events (event, phase);

CREATE TABLE webhooks (
    name        TEXT    NOT NULL PRIMARY KEY,
    taken       INTEGER NOT NULL,             -- cursor of the last event that it took
    taken_at    INTEGER,                      -- ms since 1970
    replays     INTEGER NOT NULL DEFAULT 0,   -- goes up with each: what was under way counts no more
    dropped     INTEGER NOT NULL DEFAULT 0,
    dropped_at  INTEGER,
    error       TEXT,                         -- of the last try
    failing_since INTEGER,
    is_off      INTEGER NOT NULL DEFAULT 0    -- it answered 410 since the last start
) STRICT;
