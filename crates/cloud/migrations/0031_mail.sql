-- Where people are told by e-mail that something happened, once they have
-- confirmed it. What is to be sent stands here, too: a restart loses none.
CREATE TABLE mail_addresses (
    org TEXT NOT NULL,
    person TEXT NOT NULL,
    -- Sealed by a key that is not in the database.
    address TEXT NOT NULL,
    language TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    -- Null until somebody followed the link that was sent there.
    confirmed_at BIGINT,
    -- From it and a key that is not in the database come the tokens of the links.
    round TEXT NOT NULL,
    -- SHA-256 of those tokens; the first is null once it was used.
    confirm TEXT,
    stop TEXT NOT NULL,
    -- Of what was told since the last mail.
    pending BIGINT NOT NULL,
    -- When the next mail is sent; null if there is none to send.
    due_at BIGINT,
    tries BIGINT NOT NULL,
    last_at BIGINT,
    -- Why the last one did not arrive, in one word.
    concern TEXT,
    PRIMARY KEY (org, person)
);
CREATE INDEX mail_due ON mail_addresses (due_at);
CREATE UNIQUE INDEX mail_by_confirm ON mail_addresses (confirm);
CREATE UNIQUE INDEX mail_by_stop ON mail_addresses (stop);
