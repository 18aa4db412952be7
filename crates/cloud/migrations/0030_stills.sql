-- Still pictures that go with notices, sealed by gateways: whom a notice tells
-- finds its picture by the id, and nobody else can open it. None is kept longer
-- than a day.
CREATE TABLE stills (
    id TEXT NOT NULL PRIMARY KEY,
    org TEXT NOT NULL,
    gateway TEXT NOT NULL,
    camera TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    -- In base64.
    still TEXT NOT NULL
);
CREATE INDEX stills_of_gateway ON stills (org, gateway, made_at);
CREATE INDEX stills_by_age ON stills (made_at);
