// How far a picture is drawn near, and where it is held: only numbers. All places are in parts of the box that shows it, from its middle, so
// that nothing changes when the box does.

export interface Zoom {
  factor: number;
  /** Where the middle of the picture lies. */
  x: number;
  y: number;
}

export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export const FACTOR_MAX = 8;
export const WHOLE: Zoom = { factor: 1, x: 0, y: 0 };

/** What of a box a picture fills that is shown whole in it. */
export function filled(box: Size, picture: Size | null): Size {
  if (!picture || picture.width <= 0 || picture.height <= 0 || box.width <= 0 || box.height <= 0) return { width: 1, height: 1 };
  const wider = picture.width / picture.height / (box.width / box.height);
  return wider > 1 ? { width: 1, height: 1 / wider } : { width: wider, height: 1 };
}

/** So that there is no more beside the picture than there has to be. */
function held({ factor, x, y }: Zoom, { width, height }: Size): Zoom {
  const bound = (value: number, size: number) => {
    const most = Math.max(0, (factor * size - 1) / 2);
    return Math.min(most, Math.max(-most, value));
  };
  return factor <= 1 ? WHOLE : { factor, x: bound(x, width), y: bound(y, height) };
}

/** What lies at a place stays there. */
export function zoomedTo(before: Zoom, factor: number, at: Point, fills: Size): Zoom {
  const wanted = Math.min(FACTOR_MAX, Math.max(1, factor));
  const grows = wanted / before.factor;
  return held({ factor: wanted, x: at.x - (at.x - before.x) * grows, y: at.y - (at.y - before.y) * grows }, fills);
}

export const movedBy = ({ factor, x, y }: Zoom, by: Point, fills: Size): Zoom => held({ factor, x: x + by.x, y: y + by.y }, fills);

export interface Gestures {
  move(by: Point): void;
  /** What is shown grows by this. */
  zoom(by: number, at: Point): void;
  /** Twice in the same place. */
  doubleTap(at: Point): void;
}

/** In pixels: less is a tap, by a hand that is not quite still. */
const TAP_PX = 6;
const TAP_MS = 350;
const TAPS_APART_PX = 30;
/** Fingers this close together say nothing about how far they are apart. */
const CLOSE_PX = 12;

/** Fingers on a picture, or a mouse: one moves it, two spread or pinch it. Places are in pixels here; times are arguments. */
export class Fingers {
  private readonly down = new Map<number, Point>();
  private way = 0;
  private most = 0;
  private began = 0;
  private tapped: (Point & { at: number }) | null = null;

  constructor(private readonly gestures: Gestures) {}

  get active(): boolean {
    return this.down.size > 0;
  }

  /** Whether what is under way is more than a tap. */
  get moved(): boolean {
    return this.way >= TAP_PX || this.most > 1;
  }

  start(finger: number, at: Point, now: number): void {
    if (this.down.size === 0) [this.way, this.most, this.began] = [0, 0, now];
    this.down.set(finger, at);
    this.most = Math.max(this.most, this.down.size);
  }

  move(finger: number, at: Point): void {
    const before = this.down.get(finger);
    if (!before) return;
    const [, other] = [...this.down].find(([id]) => id !== finger) ?? [];
    this.down.set(finger, at);
    const by = { x: at.x - before.x, y: at.y - before.y };
    this.way += Math.hypot(by.x, by.y);
    if (!other) return this.gestures.move(by);
    const [wide, wider] = [apart(before, other), apart(at, other)];
    if (wide > CLOSE_PX && wider > CLOSE_PX) this.gestures.zoom(wider / wide, middle(before, other));
    this.gestures.move({ x: by.x / 2, y: by.y / 2 });
  }

  end(finger: number, now: number): void {
    const at = this.down.get(finger);
    if (!at || !this.down.delete(finger) || this.down.size > 0) return;
    const last = this.tapped;
    this.tapped = this.moved || now - this.began > TAP_MS ? null : { ...at, at: now };
    if (!this.tapped || !last || now - last.at > TAP_MS || apart(last, at) > TAPS_APART_PX) return;
    this.tapped = null;
    this.gestures.doubleTap(at);
  }

  /** It was taken away: the browser scrolls. */
  cancel(finger: number): void {
    this.down.delete(finger);
    this.tapped = null;
  }
}

const apart = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);
const middle = (a: Point, b: Point): Point => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
