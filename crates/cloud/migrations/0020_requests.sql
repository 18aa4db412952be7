-- Digest of the posture that the decision's conditions read; null if they read none.
ALTER TABLE history ADD COLUMN posture TEXT;
-- The request that caused the entry; null if none did, or many.
ALTER TABLE history ADD COLUMN request TEXT;
