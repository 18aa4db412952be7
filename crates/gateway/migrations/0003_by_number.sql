-- Where the newest recording of a stream ends is asked at every start, by the
-- number in its file's name.
CREATE INDEX recordings_by_number ON recordings (camera, rendition, substr(path, -79, 10));
