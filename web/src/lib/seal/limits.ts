// Sizes that the formats fix, kept apart so that the page can check them without loading HPKE.

export const KEM_PUBLIC_BYTES = 1216;
export const KEM_ENC_BYTES = 1120;
/** A gateway begins an epoch, with the newest roster that it has, at least each hour; the rest is for clocks that differ. */
export const UNHEARD_MS = 90 * 60 * 1000;
export const DAY_MS = 24 * 60 * 60 * 1000;
export const DEVICE_DAYS_MAX = 90;
export const RECOVERY_DELAY_MS = 72 * 60 * 60 * 1000;
export const CLOCK_AHEAD_MS_MAX = 5 * 60 * 1000;
export const STATEMENTS_MAX = 100_000;
/** Statements of the recovery device that may wait at a time: each must be objected to by itself. */
export const RECOVERY_WAITING_MAX = 4;
