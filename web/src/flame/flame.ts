import { flag, pathOf, rootFrame, type Frame, type Layout } from '../engine/engine.ts';
import { Gestures } from './gestures.ts';
import { Painter, rowHeight, type Options, type Theme } from './painter.ts';
import { Window } from './window.ts';

export type { Theme } from './painter.ts';

/** What is told about one entry of the layout that is shown. */
export interface Info {
  layout: Layout;
  entry: number;
  frame: Frame | null; // null: the root
  path: string[]; // keys from the root
  self: number;
  total: number;
  baseSelf?: number;
  baseTotal?: number;
}

export interface FlameOptions {
  theme: Theme;
  onZoom(path: string[]): void; // the user zoomed: keep it, and give it to the next layout
  onHover(info: Info | null, x: number, y: number): void; // x and y within the page
  onSelect(info: Info | null): void; // the frame that has the keyboard, or was clicked
  onContext(info: Info, x: number, y: number): void;
  /** What is seen is narrower than what the layout has in full: a layout of it (seen, as View has it) is wanted. */
  onDetail?(): void;
  /** What a screen reader says of a frame; without it, its name and share. */
  describe?(info: Info): string;
}

/**
 * A flame graph on one canvas as large as what is seen of it. It draws when something changed, at most once for each frame
 * of the screen, and never waits for the worker.
 */
export class FlameChart {
  readonly canvas = document.createElement('canvas');
  private live = document.createElement('div');
  private layout: Layout | null = null;
  private options: Options;
  private painter: Painter;
  private window = new Window();
  private hovered = -1;
  private selected = -1;
  private asked = 0;
  private free = false; // the user moved away from what is zoomed to
  private timer = 0;
  private width = 0;
  private height = 0;
  private still = matchMedia('(prefers-reduced-motion: reduce)');

  constructor(private host: HTMLElement, private o: FlameOptions) {
    this.options = { icicle: true, diff: false, theme: o.theme, search: '' };
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.canvas.setAttribute('aria-roledescription', 'flame graph');
    this.canvas.setAttribute('aria-label', 'Flame graph. Arrow keys move between frames, Enter zooms, Escape zooms out. The table has the same data.');
    this.canvas.style.cssText = 'display:block;width:100%;height:100%;touch-action:none;';
    this.live.setAttribute('role', 'status');
    this.live.setAttribute('aria-live', 'polite');
    this.live.style.cssText = 'position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap;';
    host.append(this.canvas, this.live);
    this.painter = new Painter(this.canvas);
    new Gestures(this.canvas, {
      hover: (x, y) => this.hover(x, y), leave: () => this.hover(-1, -1), tap: (x, y) => this.tap(x, y),
      context: (x, y) => this.context(x, y), pan: (dx, dy) => this.pan(dx, dy), zoom: (factor, x) => this.zoom(factor, x),
      key: (e) => this.key(e),
    });
    new ResizeObserver(() => this.resize()).observe(host);
    this.resize();
  }

  /** Shows a layout. What is zoomed to, hovered and selected is found again by its path. */
  set(layout: Layout, options: Partial<Options> = {}): void {
    const old = this.layout;
    const chosen = old && this.selected > 0 ? pathOf(old, this.selected) : [];
    Object.assign(this.options, options);
    this.layout = layout;
    this.hovered = -1;
    this.selected = chosen.length ? this.find(chosen) : -1;
    const first = old === null;
    if (!this.free) this.zoomTo(layout.root, !first && !this.still.matches && old.root !== layout.root);
    this.window.scroll(0, this.scrollable());
    this.draw();
  }

  /** The part of the width that is seen, where that is not what is zoomed to by path. */
  get seen(): [number, number] | undefined {
    const { from, to } = this.window.at(Infinity);
    return this.free ? [from, to] : undefined;
  }

  /** The height at which nothing has to be scrolled. */
  get fullHeight(): number { return this.layout ? (this.layout.levels.length - 1) * rowHeight : 0; }

  resize(): void {
    const box = this.host.getBoundingClientRect();
    this.width = Math.max(1, Math.floor(box.width));
    this.height = Math.max(1, Math.floor(box.height));
    this.painter.resize(this.width, this.height, window.devicePixelRatio || 1);
    this.window.scroll(0, this.scrollable());
    this.draw();
  }

  /** Draws now; for measurements. */
  paint(): void {
    const { layout } = this;
    if (!layout) return this.painter.ready(this.options.theme);
    const begin = performance.now();
    this.painter.paint(layout, this.options, { ...this.window.at(begin), top: this.window.top }, this.hovered, this.selected);
    if (this.window.moving(begin)) this.draw();
  }

  /** Moves what is seen: for measurements and controls outside. x: by parts of the width; y: by pixels. */
  pan(dx: number, dy: number): void {
    if (dx) this.moved();
    this.window.pan(dx / this.width);
    this.window.scroll(this.options.icicle ? -dy : dy, this.scrollable());
    this.draw();
  }

  zoom(factor: number, x: number): void {
    this.moved();
    this.window.zoom(factor, x / this.width);
    this.draw();
  }

  /** Once the hand rests, asks for what the layout lacks. */
  private moved(): void {
    this.free = true;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      const cut = this.layout?.cut, seen = this.seen;
      if (cut && seen && (seen[0] < cut.from && cut.from > 0 || seen[1] > cut.to && cut.to < 1 || (seen[1] - seen[0]) / 4096 < cut.least)) this.o.onDetail?.();
    }, 150);
  }

  private draw(): void {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.paint();
    });
  }

  private scrollable(): number { return Math.max(0, this.fullHeight - this.height); }

  private zoomTo(entry: number, animate: boolean): void {
    const l = this.layout!;
    this.free = false;
    this.window.go(l.x[entry]!, l.x[entry]! + l.w[entry]!, animate ? performance.now() : 0);
    this.draw();
  }

  private find(path: string[]): number {
    const l = this.layout!;
    let entry = 0;
    for (const key of path) {
      entry = this.children(entry).find((e) => l.frames.get(l.frame[e]!).key === key) ?? -1;
      if (entry < 0) return -1;
    }
    return entry;
  }

  private depth(entry: number): number {
    const { levels } = this.layout!;
    let d = 0;
    while (d + 2 < levels.length && entry >= levels[d + 1]!) d++;
    return d;
  }

  /** Entries below one, which stand side by side in the next depth. */
  private children(entry: number): number[] {
    const l = this.layout!, d = this.depth(entry) + 1;
    if (d + 1 >= l.levels.length) return [];
    const out: number[] = [];
    let e = lowerBound(l, d, l.x[entry]!);
    while (e > l.levels[d]! && l.parent[e - 1] === entry) e--;
    while (e < l.levels[d + 1]! && l.parent[e]! < entry) e++;
    for (; e < l.levels[d + 1]! && l.parent[e] === entry; e++) out.push(e);
    return out;
  }

  /** The entry at a point of the canvas, or -1. */
  private hit(x: number, y: number): number {
    const l = this.layout;
    if (!l || x < 0) return -1;
    const row = Math.floor((this.options.icicle ? y + this.window.top : this.height - y + this.window.top) / rowHeight);
    if (row < 0 || row + 1 >= l.levels.length) return -1;
    const { from, to } = this.window.at(performance.now());
    const at = from + (x / this.width) * (to - from);
    const e = lowerBound(l, row, at);
    for (const k of [e, e - 1]) if (k >= l.levels[row]! && k < l.levels[row + 1]! && l.x[k]! <= at && at < l.x[k]! + l.w[k]!) return k;
    return -1;
  }

  private info(entry: number): Info {
    const l = this.layout!;
    return {
      layout: l, entry, frame: l.frame[entry] === rootFrame ? null : l.frames.get(l.frame[entry]!), path: pathOf(l, entry),
      self: l.self[entry]!, total: l.total[entry]!, baseSelf: l.baseSelf?.[entry], baseTotal: l.baseTotal?.[entry],
    };
  }

  private hover(x: number, y: number): void {
    const entry = this.hit(x, y);
    const box = this.canvas.getBoundingClientRect();
    if (entry !== this.hovered) this.draw();
    this.hovered = entry;
    this.canvas.style.cursor = entry >= 0 ? 'pointer' : 'default';
    this.o.onHover(entry >= 0 ? this.info(entry) : null, box.x + x, box.y + y);
  }

  private tap(x: number, y: number): void {
    const entry = this.hit(x, y);
    if (entry < 0) return this.select(-1);
    this.select(entry);
    this.zoomIn(entry);
  }

  private context(x: number, y: number): void {
    const entry = x < 0 ? this.selected : this.hit(x, y);
    if (entry < 0) return;
    const box = this.canvas.getBoundingClientRect();
    const at = x < 0 ? this.place(entry) : { x, y };
    this.select(entry);
    this.o.onContext(this.info(entry), box.x + at.x, box.y + at.y);
  }

  private place(entry: number): { x: number; y: number } {
    const l = this.layout!, { from, to } = this.window.at(performance.now());
    const row = this.depth(entry) * rowHeight - this.window.top;
    return {
      x: Math.min(Math.max(0, ((l.x[entry]! - from) / (to - from)) * this.width), this.width - 20),
      y: this.options.icicle ? row : this.height - row - rowHeight,
    };
  }

  private zoomIn(entry: number): void {
    const l = this.layout!;
    l.root = entry;
    this.zoomTo(entry, !this.still.matches);
    this.o.onZoom(pathOf(l, entry));
  }

  private select(entry: number): void {
    this.selected = entry;
    this.draw();
    if (entry < 0) return this.o.onSelect(null);
    const info = this.info(entry);
    this.live.textContent = this.o.describe?.(info) ?? says(info);
    this.o.onSelect(info);
  }

  /** Returns whether the key was one of ours. */
  private key(e: KeyboardEvent): boolean {
    const l = this.layout;
    if (!l || e.ctrlKey || e.metaKey || e.altKey) return false;
    const at = this.selected;
    switch (e.key) {
      case 'Enter': if (at >= 0) this.zoomIn(at); return at >= 0;
      case 'ContextMenu': this.context(-1, -1); return at >= 0;
      case 'F10': if (e.shiftKey) this.context(-1, -1); return e.shiftKey && at >= 0;
      case 'Escape': case 'Backspace': {
        if (e.key === 'Escape' && at >= 0 && l.root === 0) {
          this.select(-1);
          return true;
        }
        if (l.root === 0) return false;
        this.zoomIn(e.key === 'Escape' ? 0 : l.parent[l.root]!);
        return true;
      }
      case '+': case '=': this.zoom(0.8, this.width / 2); return true;
      case '-': this.zoom(1.25, this.width / 2); return true;
      case 'PageDown': case 'PageUp': {
        const down = (e.key === 'PageDown') === this.options.icicle;
        this.window.scroll((down ? 1 : -1) * this.height * 0.8, this.scrollable());
        this.draw();
        return true;
      }
    }
    const to = this.neighbour(at < 0 ? l.root : at, at < 0 ? 'stay' : e.key, e.key);
    if (to < 0) return false;
    this.select(to);
    this.reveal(to);
    return true;
  }

  private neighbour(at: number, key: string, pressed: string): number {
    if (!/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(pressed)) return -1;
    const l = this.layout!, d = this.depth(at);
    const outward = this.options.icicle ? 'ArrowUp' : 'ArrowDown';
    switch (key) {
      case 'ArrowLeft': return at > l.levels[d]! ? at - 1 : at;
      case 'ArrowRight': return at + 1 < l.levels[d + 1]! ? at + 1 : at;
      case 'Home': return l.root;
      case 'End': {
        let e = at;
        for (let below = this.children(e); below.length; below = this.children(e)) e = widest(l, below);
        return e;
      }
      case 'ArrowUp': case 'ArrowDown': {
        if (key === outward) return l.parent[at]!;
        const below = this.children(at);
        return below.length ? widest(l, below) : at;
      }
    }
    return at;
  }

  /** Brings an entry into what is seen: by scrolling, and by zooming out where it is beside it or too narrow to be seen. */
  private reveal(entry: number): void {
    const l = this.layout!, { from, to } = this.window.at(Infinity);
    const y = this.depth(entry) * rowHeight;
    if (y < this.window.top) this.window.scroll(y - this.window.top, this.scrollable());
    if (y + rowHeight > this.window.top + this.height) this.window.scroll(y + rowHeight - this.height - this.window.top, this.scrollable());
    const a = l.x[entry]!, b = a + l.w[entry]!;
    if (b <= from || a >= to) {
      let up = entry;
      while (up > 0 && l.w[up]! < to - from) up = l.parent[up]!;
      this.zoomTo(up, !this.still.matches);
    }
  }
}

/** The first entry of a depth whose x is at least that. */
function lowerBound(l: Layout, depth: number, x: number): number {
  let lo = l.levels[depth]!, hi = l.levels[depth + 1]!;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (l.x[mid]! < x) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

function widest(l: Layout, entries: number[]): number { return entries.reduce((a, b) => (l.w[b]! > l.w[a]! ? b : a)); }

function says(i: Info): string {
  const share = i.layout.whole ? `${((100 * i.total) / i.layout.whole).toFixed(1)} percent of ${i.layout.type.type}` : '';
  const elided = i.layout.flags[i.entry]! & flag.elided ? ', only in the base' : '';
  return `${(i.frame ? i.frame.name.slice(0, 200) || 'unnamed' : 'all')}, ${share}${elided}`;
}
