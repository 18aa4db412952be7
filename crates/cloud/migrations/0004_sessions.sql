-- The browser or program of a session, as it named itself, for the list that
-- its owner sees.
ALTER TABLE sessions ADD COLUMN client TEXT NOT NULL DEFAULT '';
