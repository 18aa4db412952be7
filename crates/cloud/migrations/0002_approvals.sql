-- What people confirm, sign and agree on.

-- A passkey verified its user for exactly this payload (its SHA-256), in this
-- session, just now. Taken out by the request that needs it.
CREATE TABLE verifications (
    org TEXT NOT NULL,
    session TEXT NOT NULL,
    subject TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (org, session, subject)
);

-- Envelopes behind the history's entries: what a device signed is kept, so
-- that nobody can say later that the cloud invented it. The hash is of the
-- payload, which carries a nonce: a payload that stands here is a replay.
CREATE TABLE signatures (
    org TEXT NOT NULL,
    hash TEXT NOT NULL,
    -- JSON of the signed envelope.
    envelope TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (org, hash)
);

-- What waits for more administrators to agree.
CREATE TABLE proposals (
    org TEXT NOT NULL,
    -- SHA-256 of the payload.
    proposal TEXT NOT NULL,
    person TEXT NOT NULL,
    -- JSON of the envelope with the signatures so far.
    envelope TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- `open`, `done`, `declined` or `stale`.
    state TEXT NOT NULL,
    -- Who declined it.
    closed_by TEXT,
    PRIMARY KEY (org, proposal)
);
