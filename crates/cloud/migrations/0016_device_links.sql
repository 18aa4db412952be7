-- A device that came by a link: the look-up value and MAC of the link's secret,
-- and the number from which both screens work out the code that people compare.
ALTER TABLE device_requests ADD COLUMN pairing TEXT;
ALTER TABLE device_requests ADD COLUMN mac TEXT;
ALTER TABLE device_requests ADD COLUMN nonce TEXT;
CREATE UNIQUE INDEX device_requests_device ON device_requests (device);
