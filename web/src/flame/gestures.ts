/** What is done to the chart; x and y in pixels of the canvas. */
export interface Actions {
  hover(x: number, y: number): void;
  leave(): void;
  tap(x: number, y: number): void;
  context(x: number, y: number): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number, x: number): void; // less than 1 is closer
  key(e: KeyboardEvent): boolean;
}

const slop = 5; // pixels that a pointer may move in a tap
const held = 500; // ms after which a finger that rests asks for the menu

/** Mouse, pen, fingers, wheel and keyboard on one element. */
export class Gestures {
  private down = new Map<number, { x: number; y: number }>();
  private moved = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private on: HTMLElement, private do_: Actions) {
    on.addEventListener('pointerdown', (e) => this.press(e));
    on.addEventListener('pointermove', (e) => this.move(e));
    on.addEventListener('pointerup', (e) => this.release(e, true));
    on.addEventListener('pointercancel', (e) => this.release(e, false));
    on.addEventListener('pointerleave', (e) => { if (!this.down.size || e.pointerType === 'mouse') this.do_.leave(); });
    on.addEventListener('contextmenu', (e) => {
      e.preventDefault();
      const p = this.point(e);
      this.do_.context(p.x, p.y);
    });
    on.addEventListener('wheel', (e) => this.wheel(e), { passive: false });
    on.addEventListener('keydown', (e) => {
      if (!this.do_.key(e)) return;
      e.preventDefault();
      e.stopPropagation();
    });
  }

  private point(e: MouseEvent): { x: number; y: number } {
    const box = this.on.getBoundingClientRect();
    return { x: e.clientX - box.x, y: e.clientY - box.y };
  }

  private press(e: PointerEvent): void {
    if (e.button !== 0) return;
    this.on.focus({ preventScroll: true });
    const p = this.point(e);
    this.down.set(e.pointerId, p);
    this.moved = this.down.size > 1;
    clearTimeout(this.timer);
    if (e.pointerType === 'touch' && this.down.size === 1) {
      this.timer = setTimeout(() => {
        this.moved = true;
        this.do_.context(p.x, p.y);
      }, held);
    }
  }

  private move(e: PointerEvent): void {
    const p = this.point(e), old = this.down.get(e.pointerId);
    if (!old) {
      if (e.pointerType !== 'touch') this.do_.hover(p.x, p.y);
      return;
    }
    if (!this.moved && Math.hypot(p.x - old.x, p.y - old.y) < slop) return;
    if (!this.moved) this.on.setPointerCapture(e.pointerId);
    this.moved = true;
    clearTimeout(this.timer);
    if (this.down.size === 2) {
      const other = [...this.down].find(([id]) => id !== e.pointerId)![1];
      const before = Math.abs(old.x - other.x), now = Math.abs(p.x - other.x);
      if (before > 20 && now > 20) this.do_.zoom(before / now, (p.x + other.x) / 2);
      this.do_.pan((p.x - old.x) / 2, (p.y - old.y) / 2);
    } else this.do_.pan(p.x - old.x, p.y - old.y);
    this.down.set(e.pointerId, p);
  }

  private release(e: PointerEvent, done: boolean): void {
    clearTimeout(this.timer);
    if (!this.down.delete(e.pointerId) || !done || this.moved) return;
    const p = this.point(e);
    this.do_.tap(p.x, p.y);
  }

  /** The wheel scrolls; with Ctrl (which a pinch on a touch pad is) or Shift it zooms or pans, as elsewhere. */
  private wheel(e: WheelEvent): void {
    e.preventDefault();
    const unit = e.deltaMode === 1 ? 16 : e.deltaMode === 2 ? 400 : 1;
    const dx = e.deltaX * unit, dy = e.deltaY * unit;
    if (e.ctrlKey || e.metaKey) this.do_.zoom(Math.exp(Math.max(-200, Math.min(200, dy)) * 0.005), this.point(e).x);
    else if (e.shiftKey) this.do_.pan(-(dx || dy), 0);
    else this.do_.pan(-dx, -dy);
  }
}
