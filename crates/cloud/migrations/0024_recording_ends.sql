-- When a recording ends: timelines add up without reading the JSON. NULL where a
-- version of before wrote it; the next start fills it in.
ALTER TABLE recordings ADD COLUMN ended_at BIGINT;
CREATE INDEX recordings_without_end ON recordings (org, id) WHERE ended_at IS NULL;
