-- How people sign in: passkeys by name, or a password and a code together,
-- and codes on paper for the day when both are lost.

-- What its owner calls it, where it works, and when it was used last (0: not
-- since this column is there).
ALTER TABLE passkeys ADD COLUMN name TEXT NOT NULL DEFAULT 'Passkey';
-- The origin whose pages made it; empty if that was before this column.
ALTER TABLE passkeys ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE passkeys ADD COLUMN used_at BIGINT NOT NULL DEFAULT 0;

-- Password and one-time codes of a person. There is no row with one of them
-- alone. Erased with the person: nothing else knows the name.
CREATE TABLE password_logins (
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    -- The name that is typed, folded; unique at this cloud.
    login TEXT NOT NULL,
    -- Argon2id text and TOTP seed, each sealed under the key in the data
    -- folder and in hex: who has the database alone can guess at neither.
    password TEXT NOT NULL,
    totp TEXT NOT NULL,
    -- The 30-second step of the newest code that was used. Moves forward
    -- only, so no code counts twice.
    totp_step BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (org, person)
);
CREATE UNIQUE INDEX password_logins_login ON password_logins (login);

-- Recovery codes, hashed: each has 80 random bits. Used ones stay until new
-- codes replace them all, because their owner is told.
CREATE TABLE recovery_codes (
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    code TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (org, person, code)
);
CREATE UNIQUE INDEX recovery_codes_code ON recovery_codes (code);

-- Accounts of programs, each with one token. Revoked ones stay: the history
-- names them.
CREATE TABLE service_accounts (
    org TEXT NOT NULL,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    -- SHA-256 of the token: who reads this table cannot use it.
    token TEXT NOT NULL,
    -- JSON: list of permissions, and SCOPE of format.md section 2.
    permissions TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    -- 0: never.
    used_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (org, account)
);
CREATE UNIQUE INDEX service_accounts_account ON service_accounts (account);
CREATE UNIQUE INDEX service_accounts_token ON service_accounts (token);
