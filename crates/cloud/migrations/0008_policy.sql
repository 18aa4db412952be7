-- Sets of policies that administrators put in force. The newest applies; an
-- organisation without any has the one that is built in.
CREATE TABLE policy_sets (
    org TEXT NOT NULL,
    seq BIGINT NOT NULL,
    -- What the administrators signed (format.md section 6).
    digest TEXT NOT NULL,
    -- JSON: texts by file name.
    files TEXT NOT NULL,
    -- SHA-256 of the signed action; the envelope stands in `signatures`.
    signature TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (org, seq)
);

-- Roles of people, as administrators assigned them. The newest row of a person
-- applies; whoever has none is viewer and operator of what the roster opens.
CREATE TABLE role_assignments (
    org TEXT NOT NULL,
    seq BIGINT NOT NULL,
    person TEXT NOT NULL,
    -- JSON: list of {"role","place"}.
    roles TEXT NOT NULL,
    signature TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (org, seq)
);

-- Why people look at what they look at, where policies demand it. The history
-- names a reason by its reference, so that the text can be erased.
CREATE TABLE reasons (
    org TEXT NOT NULL,
    reference TEXT NOT NULL,
    session TEXT NOT NULL,
    person TEXT NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (org, reference)
);
CREATE INDEX reasons_session ON reasons (session, at);

-- The set of policies that was asked; empty in entries from before there were any.
ALTER TABLE history ADD COLUMN policy TEXT;

-- What a proposal is about beyond its envelope: the files of a set of policies.
ALTER TABLE proposals ADD COLUMN files TEXT;
