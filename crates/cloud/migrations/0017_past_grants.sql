-- When an epoch began, as its gateway says; 0 of those before this column.
ALTER TABLE epoch_grants ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;

-- Whose past an administrator's device may hand on to which device.
CREATE TABLE past_openings (
    org TEXT NOT NULL,
    device TEXT NOT NULL,
    by_device TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (org, device, by_device)
);

-- Keys that were handed on, sealed to a device and signed by the one that had
-- them. The gateway's own grants stay beside them.
CREATE TABLE past_grants (
    org TEXT NOT NULL,
    epoch TEXT NOT NULL,
    device TEXT NOT NULL,
    by_device TEXT NOT NULL,
    envelope TEXT NOT NULL,
    PRIMARY KEY (org, epoch, device, by_device)
);
