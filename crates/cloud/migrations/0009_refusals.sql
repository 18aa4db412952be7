-- How often it was refused; null in entries of what was permitted.
ALTER TABLE history ADD COLUMN refused BIGINT;
