-- How far each gateway has signed the history's log, and what it found if the
-- log did not go on from there.
CREATE TABLE history_witnesses (
    org TEXT NOT NULL,
    gateway TEXT NOT NULL,
    size BIGINT NOT NULL,
    note TEXT NOT NULL,
    signed_at BIGINT NOT NULL,
    conflict TEXT,
    PRIMARY KEY (org, gateway)
);
