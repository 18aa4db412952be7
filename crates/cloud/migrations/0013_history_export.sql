-- The first entry of the history that a collector of events has not been sent.
CREATE TABLE history_exports (
    org TEXT NOT NULL PRIMARY KEY,
    next BIGINT NOT NULL
);
