-- How much there is, is asked each half minute.
CREATE INDEX recordings_by_bytes ON recordings (bytes);

-- Whether a recording needs a grant is asked as often.
CREATE INDEX recordings_by_epoch ON recordings (epoch);
