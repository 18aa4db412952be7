-- How far the journals of gateways' local ways have come into the history.
CREATE TABLE local_journals (
    org     TEXT   NOT NULL,
    gateway TEXT   NOT NULL,
    -- Which journal: one that a gateway lost and began anew is another. Hex.
    journal TEXT   NOT NULL,
    -- Number of the next entry that is news.
    next    BIGINT NOT NULL,
    -- Hash of the entry before it, hex; zeros before the first.
    head    TEXT   NOT NULL,
    -- When the gateway told last, ms since 1970.
    told_at BIGINT NOT NULL,
    PRIMARY KEY (org, gateway, journal)
);
