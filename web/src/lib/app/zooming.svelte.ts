// Digital zoom of one picture: what wheel, mouse, fingers and keys on it do. The canvas has every pixel of the stream, so that what is drawn
// near is as sharp as the stream is; what is saved of it is whole.

import { filled, Fingers, movedBy, type Point, type Size, WHOLE, type Zoom, zoomedTo } from './zoom';

const STEP = 1.5;
/** Where two taps lead. */
const NEAR = 2.5;
/** Parts of the box, by an arrow key. */
const ARROW_STEP = 0.1;
/** Turned on after the whole picture is reached again, a wheel does not scroll the page. */
const WHEEL_RESTS_MS = 400;
const ARROWS: Record<string, Point> = { ArrowLeft: { x: 1, y: 0 }, ArrowRight: { x: -1, y: 0 }, ArrowUp: { x: 0, y: 1 }, ArrowDown: { x: 0, y: -1 } };

export class Zooming {
  zoom: Zoom = $state.raw(WHOLE);
  private box: HTMLElement | null = null;
  private wheeled = 0;

  /** `size` is the picture's, `on` whether it may be zoomed now, `taps` whether two taps do something. */
  constructor(
    private readonly size: () => Size | null,
    private readonly on: () => boolean = () => true,
    private readonly taps = true,
  ) {}

  get near(): boolean {
    return this.zoom.factor > 1;
  }

  get transform(): string | undefined {
    const { factor, x, y } = this.zoom;
    return this.near ? `translate(${x * 100}%, ${y * 100}%) scale(${factor})` : undefined;
  }

  reset(): void {
    this.zoom = WHOLE;
  }

  step(direction: 1 | -1): void {
    this.by(STEP ** direction, { x: 0, y: 0 });
  }

  /** Whether the key means something here. */
  key({ key, ctrlKey, metaKey, altKey }: KeyboardEvent): boolean {
    if (ctrlKey || metaKey || altKey || !this.on()) return false;
    const arrow = this.near ? ARROWS[key] : undefined;
    if (arrow) this.zoom = movedBy(this.zoom, { x: arrow.x * ARROW_STEP, y: arrow.y * ARROW_STEP }, this.fills);
    else if (key === '+' || key === '=') this.step(1);
    else if (key === '-') this.step(-1);
    else if (key === '0') this.reset();
    else return false;
    return true;
  }

  readonly attach = (box: HTMLElement): (() => void) => {
    this.box = box;
    const place = ({ clientX, clientY }: MouseEvent): Point => ({ x: clientX, y: clientY });
    const fingers = new Fingers({
      move: ({ x, y }) => {
        const { width, height } = box.getBoundingClientRect();
        this.zoom = movedBy(this.zoom, { x: x / width, y: y / height }, this.fills);
      },
      zoom: (by, at) => this.by(by, this.partOf(at)),
      doubleTap: (at) => this.taps && (this.near ? this.reset() : this.by(NEAR, this.partOf(at))),
    });
    const quiet = ({ target }: Event) => !this.on() || (target as Element).closest('[data-quiet]') !== null;
    let caught = false;
    const listeners: { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void } = {
      pointerdown: (event) => {
        caught = false;
        if (event.button !== 0 || quiet(event)) return;
        fingers.start(event.pointerId, place(event), event.timeStamp);
      },
      pointermove: (event) => {
        fingers.move(event.pointerId, place(event));
        // Not before it moves: a press is for what lies there.
        if (!fingers.moved || caught || !fingers.active || !this.near) return;
        caught = true;
        box.setPointerCapture(event.pointerId);
      },
      pointerup: (event) => fingers.end(event.pointerId, event.timeStamp),
      pointercancel: (event) => fingers.cancel(event.pointerId),
      // Two fingers are for the picture, however they begin.
      touchstart: (event) => event.touches.length > 1 && !quiet(event) && event.preventDefault(),
      wheel: (event) => this.on() && this.wheel(event),
    };
    // What ends a movement is no press.
    const click = (event: MouseEvent): void => {
      if (!caught) return;
      caught = false;
      event.stopPropagation();
    };
    box.addEventListener('click', click, true);
    for (const [name, listener] of Object.entries(listeners)) box.addEventListener(name, listener as (event: Event) => void, { passive: false });
    return () => {
      box.removeEventListener('click', click, true);
      for (const [name, listener] of Object.entries(listeners)) box.removeEventListener(name, listener as (event: Event) => void);
    };
  };

  /** The page scrolls, as everywhere, unless the picture is near already, Ctrl is held, or there is no page: on a full screen. */
  private wheel(event: WheelEvent): void {
    const rests = event.timeStamp - this.wheeled < WHEEL_RESTS_MS;
    if (!this.near && !event.ctrlKey && !document.fullscreenElement && !rests) return;
    event.preventDefault();
    this.wheeled = event.timeStamp;
    if (rests && !this.near && event.deltaY > 0) return;
    // Pinched on a touchpad, it comes with Ctrl, and in small steps; lines and pages, where a browser counts in them.
    const pace = event.ctrlKey ? 0.01 : 0.003;
    const turned = event.deltaY * ([1, 24, 240][event.deltaMode] ?? 1);
    this.by(Math.exp(-Math.min(120, Math.max(-120, turned)) * pace), this.partOf({ x: event.clientX, y: event.clientY }));
  }

  private by(factor: number, at: Point): void {
    this.zoom = zoomedTo(this.zoom, this.zoom.factor * factor, at, this.fills);
  }

  private get fills(): Size {
    const { clientWidth: width = 0, clientHeight: height = 0 } = this.box ?? {};
    return filled({ width, height }, this.size());
  }

  private partOf({ x, y }: Point): Point {
    const { left, top, width, height } = this.box!.getBoundingClientRect();
    return { x: (x - left) / width - 0.5, y: (y - top) / height - 0.5 };
  }
}
