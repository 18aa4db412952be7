-- Gateways that nothing was heard of for too long. The row is there before anybody
-- is told, so that a restart tells nobody twice.
CREATE TABLE gateway_silences (
    org TEXT NOT NULL,
    gateway TEXT NOT NULL,
    -- When it was heard last, as far as this server knows.
    since BIGINT NOT NULL,
    -- When it was heard again, or left the roster; null while it is silent.
    ended_at BIGINT,
    PRIMARY KEY (org, gateway, since)
);
CREATE INDEX silences_by_time ON gateway_silences (org, since);

-- Of what a mail tells since the last one: gateways that fell silent or came back.
ALTER TABLE mail_addresses ADD COLUMN silences BIGINT NOT NULL DEFAULT 0;
