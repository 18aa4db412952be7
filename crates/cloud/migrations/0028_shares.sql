-- Footage that somebody without an account opens by a link: what the sharer's
-- device signed. The pieces are files; what opens them no server is ever sent.
CREATE TABLE shares (
    share TEXT NOT NULL PRIMARY KEY,
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    -- JSON, an array of ids.
    cameras TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    to_at BIGINT NOT NULL,
    -- SHA-256 of what the link's holder shows.
    access TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    until BIGINT NOT NULL,
    -- How often it can be opened; null: any number of times.
    openings BIGINT,
    opened BIGINT NOT NULL,
    -- Of all pieces that have come so far.
    bytes BIGINT NOT NULL,
    -- Null until all pieces are there.
    completed_at BIGINT,
    -- Withdrawn, or its maker lost access.
    ended_at BIGINT,
    -- 1 once the pieces are gone.
    removed INTEGER NOT NULL
);
CREATE INDEX shares_by_org ON shares (org, made_at);

-- The bearer of such a token was counted, and reads the pieces.
CREATE TABLE share_openings (
    -- SHA-256 of it.
    token TEXT NOT NULL PRIMARY KEY,
    share TEXT NOT NULL,
    ends_at BIGINT NOT NULL
);
