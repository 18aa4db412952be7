-- Whether an identity provider had just asked the person when the session was
-- opened, and did not merely still know the browser.
ALTER TABLE sessions ADD COLUMN just_now BIGINT NOT NULL DEFAULT 0;
