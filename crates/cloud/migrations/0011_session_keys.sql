-- Sessions are bound to a key of the browser or program that opened them.
-- Those from before have none; their owners sign in again.
DELETE FROM sessions;
ALTER TABLE sessions ADD COLUMN proof_key TEXT NOT NULL DEFAULT '';
