-- The gateway's signed answer to a command that several administrators agreed
-- on; null before it answered, and of proposals of other kinds.
ALTER TABLE proposals ADD COLUMN result TEXT;
