-- What cameras said that they saw, newest first, over all cameras at once.
CREATE INDEX recordings_of_events ON recordings (org, started_at) WHERE rendition = 'events';

-- Events that people have looked at, each for themselves. What they are the server
-- does not know.
CREATE TABLE reviewed_events (
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    event TEXT NOT NULL,
    -- When the event was, as that person's device says.
    at BIGINT NOT NULL,
    PRIMARY KEY (org, person, event)
);
CREATE INDEX reviewed_events_by_time ON reviewed_events (org, person, at);
