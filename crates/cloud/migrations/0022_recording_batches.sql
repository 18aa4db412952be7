-- Recordings stand in the history in batches: one entry for all that waited.
CREATE TABLE recording_batches (
    org TEXT NOT NULL,
    -- Of the entry.
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    -- Hashes of the leaves in order, in hex, one after the other.
    leaves TEXT NOT NULL,
    PRIMARY KEY (org, seq)
);
CREATE INDEX recording_batches_at ON recording_batches (org, at);

-- Place of the recording; null while it waits.
ALTER TABLE recordings ADD COLUMN batch BIGINT;
ALTER TABLE recordings ADD COLUMN batch_index BIGINT;
CREATE INDEX recordings_waiting ON recordings (org, confirmed_at) WHERE batch IS NULL;

-- The first checkpoints with a batch that each witness signed: later ones show
-- no more than that it is old.
CREATE TABLE batch_witnesses (
    org TEXT NOT NULL,
    seq BIGINT NOT NULL,
    -- Id of a gateway, or name of a witness outside.
    witness TEXT NOT NULL,
    size BIGINT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (org, seq, witness)
);
