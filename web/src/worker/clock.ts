// A clock by which several players show what was recorded: one time for all of them. Wall times are milliseconds since 1970, the same in a
// page and its Worker.

export interface Clock {
  /** Media time `media` is shown at wall time `since`. */
  since: number;
  media: number;
  speed: number;
  playing: boolean;
}

export const wallNow = (): number => performance.timeOrigin + performance.now();
export const mediaAt = ({ since, media, speed, playing }: Clock, now: number): number => (playing ? media + Math.max(0, now - since) * speed : media);
export const dueAt = ({ since, media, speed }: Clock, at: number): number => since + (at - media) / speed;
