-- The history becomes a transparency log (format.md section 7).

-- The entry as the log holds it. Entries from before are held by their hash.
ALTER TABLE history ADD COLUMN leaf TEXT NOT NULL DEFAULT '';
UPDATE history SET leaf = hash;
ALTER TABLE history ADD COLUMN device TEXT;
ALTER TABLE history ADD COLUMN signature TEXT;

-- What the references to people in the leaves come from. Without its row
-- nobody can tell any more whom a leaf is about.
CREATE TABLE person_salts (
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    salt TEXT NOT NULL,
    PRIMARY KEY (org, person)
);

-- How far each log is published. One node at a time extends it: whoever holds
-- the lease, and whose size is still the one that it began with.
CREATE TABLE history_logs (
    org TEXT PRIMARY KEY NOT NULL,
    size BIGINT NOT NULL,
    -- The newest checkpoint, as a signed note; empty before the first.
    note TEXT NOT NULL,
    lease_node TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    -- Why nothing is published any more, in words; null while all is well.
    fault TEXT
);
