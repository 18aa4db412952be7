-- What the cloud knows. One file for SQLite and PostgreSQL: only BIGINT, TEXT
-- and BYTEA, times in milliseconds since 1970. Every table that belongs to an
-- organisation begins its key with `org`. No key that opens footage, no camera
-- password and no token in clear is in here.

CREATE TABLE organisations (
    org TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Position and hash of the newest roster statement and history entry.
    -- Both chains are extended by compare-and-swap on this row.
    roster_seq BIGINT NOT NULL,
    roster_head TEXT NOT NULL,
    history_next BIGINT NOT NULL,
    history_head TEXT NOT NULL
);

-- The roster's log, as signed. The cloud validates what it stores; readers
-- validate it again and believe nothing else.
CREATE TABLE roster_statements (
    org TEXT NOT NULL,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    -- When this cloud first saw it: the 72 hours of a recovery count from here.
    seen_at BIGINT NOT NULL,
    -- JSON of the signed envelope.
    envelope TEXT NOT NULL,
    PRIMARY KEY (org, seq)
);

-- Which organisation an id of the roster (device or gateway) belongs to. Ids
-- are never used again, in no organisation.
CREATE TABLE subjects (
    id TEXT PRIMARY KEY NOT NULL,
    org TEXT NOT NULL
);

CREATE TABLE people (
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org, person)
);
CREATE UNIQUE INDEX people_person ON people (person);

CREATE TABLE passkeys (
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    -- Base64url of the credential id.
    credential TEXT NOT NULL,
    -- Public key and counters, as webauthn-rs writes them.
    passkey TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org, credential)
);
CREATE UNIQUE INDEX passkeys_credential ON passkeys (credential);

CREATE TABLE sessions (
    org TEXT NOT NULL,
    -- SHA-256 of the cookie: who reads this table cannot sign in.
    token TEXT NOT NULL,
    person TEXT NOT NULL,
    -- Set if the session was opened with a device key.
    device TEXT,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (org, token)
);
CREATE UNIQUE INDEX sessions_token ON sessions (token);

-- Half-done sign-ins and challenges. Taken out by the request that uses them,
-- so each works once. They belong to nobody yet and therefore have no org.
CREATE TABLE ceremonies (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    -- JSON that only the server reads.
    state TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX ceremonies_expiry ON ceremonies (expires_at);

-- Set-up and invitation tokens, hashed. `org` is empty for the set-up token:
-- the organisation comes to be with it.
CREATE TABLE one_time_tokens (
    org TEXT NOT NULL,
    token TEXT NOT NULL,
    kind TEXT NOT NULL,
    person TEXT NOT NULL,
    person_name TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (org, token)
);
CREATE UNIQUE INDEX one_time_tokens_token ON one_time_tokens (token);

-- Devices that ask to be added to the roster.
CREATE TABLE device_requests (
    org TEXT NOT NULL,
    device TEXT NOT NULL,
    person TEXT NOT NULL,
    -- JSON of DEVICE.
    request TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org, device)
);

-- Gateways that came with an enrolment code. `org` is empty until an
-- administrator accepts: before that nobody but the code's owner knows whose
-- it is.
CREATE TABLE enrolments (
    lookup TEXT PRIMARY KEY NOT NULL,
    org TEXT NOT NULL,
    -- JSON of GATEWAY.
    gateway TEXT NOT NULL,
    mac TEXT NOT NULL,
    accept_mac TEXT,
    expires_at BIGINT NOT NULL
);

-- The transport certificate that a gateway got last.
CREATE TABLE gateway_certificates (
    org TEXT NOT NULL,
    gateway TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (org, gateway)
);

-- Index of epoch grants: keys sealed to devices, signed by the gateway.
CREATE TABLE epoch_grants (
    org TEXT NOT NULL,
    epoch TEXT NOT NULL,
    device TEXT NOT NULL,
    gateway TEXT NOT NULL,
    envelope TEXT NOT NULL,
    PRIMARY KEY (org, epoch, device)
);
CREATE INDEX epoch_grants_gateway ON epoch_grants (org, gateway, epoch);

-- Recordings whose length and digest were read back from the store.
CREATE TABLE recordings (
    org TEXT NOT NULL,
    camera TEXT NOT NULL,
    rendition TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- Header hash.
    id TEXT NOT NULL,
    gateway TEXT NOT NULL,
    name TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    -- JSON of RECORDING.
    recording TEXT NOT NULL,
    confirmed_at BIGINT NOT NULL,
    PRIMARY KEY (org, camera, rendition, started_at, id)
);
CREATE UNIQUE INDEX recordings_id ON recordings (org, id);

CREATE TABLE gaps (
    org TEXT NOT NULL,
    camera TEXT NOT NULL,
    rendition TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    to_at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (org, camera, rendition, from_at)
);

-- Who was allowed what: append-only, each entry chained to the one before.
CREATE TABLE history (
    org TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (org, seq)
);
