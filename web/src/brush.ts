// Choosing a span on a canvas, with the pointer or the keys. Places are shares of the width.

export interface BrushOptions { change(from: number, to: number): void; done(from: number, to: number): void; steps(): number }

export class Brush {
  private start = 0;
  private down = false;
  private cursor = 1;
  private anchor = 1;

  constructor(private el: HTMLElement, private o: BrushOptions) {
    el.tabIndex = 0;
    this.tell();
    el.addEventListener('pointerdown', (e) => {
      if (e.button !== 0) return;
      this.down = true;
      this.start = this.place(e);
      el.setPointerCapture(e.pointerId);
    });
    el.addEventListener('pointermove', (e) => { if (this.down) o.change(...this.order(this.start, this.place(e))); });
    el.addEventListener('pointerup', (e) => {
      if (!this.down) return;
      this.down = false;
      o.done(...this.order(this.start, this.place(e)));
    });
    el.addEventListener('pointercancel', () => { this.down = false; });
    el.addEventListener('keydown', (e) => this.key(e));
  }

  private place(e: PointerEvent): number {
    const box = this.el.getBoundingClientRect();
    return Math.max(0, Math.min(1, (e.clientX - box.left) / (box.width || 1)));
  }

  private order(a: number, b: number): [number, number] { return a < b ? [a, b] : [b, a]; }

  private tell(): void { this.el.setAttribute('aria-valuenow', String(Math.round(this.cursor * 100))); }

  /** Arrows move the end, with Shift they widen the span, Enter takes it. */
  private key(e: KeyboardEvent): void {
    const step = 1 / Math.max(1, this.o.steps());
    const by = e.key === 'ArrowLeft' ? -step : e.key === 'ArrowRight' ? step : 0;
    if (by) {
      this.cursor = Math.max(0, Math.min(1, this.cursor + by));
      if (!e.shiftKey) this.anchor = Math.max(0, this.cursor - step);
      this.tell();
      this.o.change(...this.order(this.anchor, this.cursor));
    } else if (e.key === 'Enter') this.o.done(...this.order(this.anchor, this.cursor));
    else return;
    e.preventDefault();
    e.stopPropagation();
  }
}
