-- What witnesses outside the organisation have signed of its log, and why one
-- does not: `conflict` if it has seen another history, `trouble` if it could
-- not be asked.
CREATE TABLE outside_witnesses (
    org TEXT NOT NULL,
    name TEXT NOT NULL,
    size BIGINT NOT NULL,
    note TEXT NOT NULL,
    signed_at BIGINT NOT NULL,
    conflict TEXT,
    trouble TEXT,
    PRIMARY KEY (org, name)
);

-- How far this server, as a witness, has signed the logs of others.
CREATE TABLE witnessed_logs (
    origin TEXT PRIMARY KEY,
    size BIGINT NOT NULL,
    root TEXT NOT NULL
);
