-- Where a person's device is reached while nobody looks at it: what its browser
-- was given by a push service (RFC 8030), of whoever it belongs to.
CREATE TABLE push_subscriptions (
    org TEXT NOT NULL,
    device TEXT NOT NULL,
    person TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    -- The browser's public key and secret (RFC 8291), base64url.
    p256dh TEXT NOT NULL,
    auth TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (org, device)
);

-- What devices want to be told by gateways: signed by the device, sealed to the
-- gateway.
CREATE TABLE notice_orders (
    org TEXT NOT NULL,
    gateway TEXT NOT NULL,
    device TEXT NOT NULL,
    person TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    envelope TEXT NOT NULL,
    PRIMARY KEY (org, gateway, device)
);
