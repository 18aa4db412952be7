-- Who somebody is at an OpenID provider.
CREATE TABLE identities (
    org TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org, issuer, subject)
);
CREATE INDEX identities_person ON identities (org, person);

-- What a provider said about somebody's groups when they signed in, sealed by
-- the server: whoever can write here alone gives nobody a role.
CREATE TABLE provider_groups (
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    provider TEXT NOT NULL,
    names TEXT NOT NULL,
    PRIMARY KEY (org, person, provider)
);

-- People and groups as a directory provisions them (SCIM). Marks are the
-- server's, over what a role depends on.
CREATE TABLE directory_people (
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    user_name TEXT NOT NULL,
    -- In lower case: user names differ by more than that.
    user_key TEXT NOT NULL,
    external_id TEXT,
    display_name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (org, person),
    UNIQUE (org, user_key)
);
CREATE INDEX directory_people_external ON directory_people (org, external_id);

CREATE TABLE directory_groups (
    org TEXT NOT NULL,
    id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    external_id TEXT,
    mark TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (org, id)
);

CREATE TABLE directory_members (
    org TEXT NOT NULL,
    id TEXT NOT NULL,
    person TEXT NOT NULL,
    mark TEXT NOT NULL,
    PRIMARY KEY (org, id, person)
);

-- Counts changes of groups: whoever keeps a copy looks here.
CREATE TABLE directory_versions (
    org TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

-- When a directory shut somebody out; such a person does not sign in.
ALTER TABLE people ADD COLUMN disabled_at BIGINT;

-- Whether a session was opened with two factors: passkeys and passwords are,
-- devices' keys are not, and providers say so or not.
ALTER TABLE sessions ADD COLUMN second_factor BIGINT NOT NULL DEFAULT 1;
UPDATE sessions SET second_factor = 0 WHERE device IS NOT NULL;
