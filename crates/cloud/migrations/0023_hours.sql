-- Signed indexes of hours that were read in the store (format.md section 5.4).
-- Their names follow from the columns.
CREATE TABLE hours (
    org TEXT NOT NULL,
    camera TEXT NOT NULL,
    -- Of the statement.
    hash TEXT NOT NULL,
    -- When it begins.
    hour BIGINT NOT NULL,
    -- In the gateway's chain.
    number BIGINT NOT NULL,
    PRIMARY KEY (org, camera, hash)
);
CREATE INDEX hours_in_order ON hours (org, camera, hour, number, hash);
