/** What is seen of a layout: a part of its width, and how far it is scrolled. Zooming takes a while. */
export class Window {
  top = 0; // pixels
  private from = 0;
  private to = 1;
  private old = { from: 0, to: 1, start: 0 };
  private static readonly duration = 180; // ms

  /** What is seen at a time of performance.now(). */
  at(now: number): { from: number; to: number } {
    const part = Math.min(1, (now - this.old.start) / Window.duration);
    if (!(part < 1)) return { from: this.from, to: this.to };
    const k = 1 - (1 - Math.max(0, part)) ** 3;
    return { from: this.old.from + (this.from - this.old.from) * k, to: this.old.to + (this.to - this.old.to) * k };
  }

  moving(now: number): boolean { return now - this.old.start < Window.duration; }

  /** Goes to a part of the width, from start on, or at once where start is 0. */
  go(from: number, to: number, start: number): void {
    this.old = { ...this.at(start || Infinity), start: start || -Infinity };
    this.from = from;
    this.to = to > from ? to : from + 1e-12;
  }

  /** By parts of what is seen. */
  pan(part: number): void {
    this.settle();
    const width = this.to - this.from;
    this.from = Math.min(Math.max(0, this.from - part * width), 1 - width);
    this.to = this.from + width;
  }

  /** Around a place, 0..1 of what is seen. Less than 1 is closer. */
  zoom(factor: number, place: number): void {
    this.settle();
    const centre = this.from + place * (this.to - this.from);
    const width = Math.min(1, Math.max(1e-9, (this.to - this.from) * factor));
    this.from = Math.min(Math.max(0, centre - place * width), 1 - width);
    this.to = this.from + width;
  }

  scroll(pixels: number, limit: number): void { this.top = Math.min(Math.max(0, this.top + pixels), limit); }

  private settle(): void { this.old.start = -Infinity; }
}
