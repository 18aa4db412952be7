-- Stretches of a camera's time with a note that the server cannot open, and which
-- of them their gateways lock against retention.
CREATE TABLE bookmarks (
    bookmark TEXT NOT NULL PRIMARY KEY,
    org TEXT NOT NULL,
    camera TEXT NOT NULL,
    gateway TEXT NOT NULL,
    -- Who made it; null once that person was erased.
    person TEXT,
    from_at BIGINT NOT NULL,
    to_at BIGINT NOT NULL,
    -- 1: it locks; until then, or until it is lifted.
    locked INTEGER NOT NULL,
    until_at BIGINT,
    issued_at BIGINT NOT NULL,
    -- What the device signed, and the SHA-256 of its payload.
    envelope TEXT NOT NULL,
    order_hash TEXT NOT NULL,
    -- Null: it never locked anything, and its gateway need not know of it. Else
    -- greater than that of all that was changed there before.
    change BIGINT,
    -- What the gateway signed about this order.
    result TEXT,
    -- 1: it goes as soon as its gateway knows that nothing is locked any more.
    removed INTEGER NOT NULL
);
CREATE INDEX bookmarks_by_time ON bookmarks (org, from_at);
CREATE INDEX bookmarks_by_camera ON bookmarks (org, camera, from_at);
CREATE INDEX bookmarks_by_person ON bookmarks (org, person);
CREATE INDEX bookmarks_by_change ON bookmarks (gateway, change);

-- The last change of each gateway: those who write wait for each other.
CREATE TABLE lock_changes (
    gateway TEXT NOT NULL PRIMARY KEY,
    change BIGINT NOT NULL
);
