-- How much there is, is asked each half minute.
CREATE INDEX recordings_by_bytes ON recordings (bytes);
