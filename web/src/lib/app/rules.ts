// Rules that several pages state and apply.

export const PASSPHRASE_MIN = 12;
/** From here on the app asks to renew a device. */
export const RENEW_DAYS_BEFORE = 30;
