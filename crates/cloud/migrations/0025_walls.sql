-- Cameras side by side, as people arranged them.
CREATE TABLE walls (
    org TEXT NOT NULL,
    wall TEXT NOT NULL,
    -- Who may change it; NULL once that person was erased.
    person TEXT,
    name TEXT NOT NULL,
    -- 1: everybody of the organisation sees it.
    shared BIGINT NOT NULL,
    -- JSON: columns, and where each camera stands.
    arrangement TEXT NOT NULL,
    -- Counts the changes: whoever changes it says which one was seen.
    revision BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (org, wall)
);
CREATE INDEX walls_of_people ON walls (org, person);
