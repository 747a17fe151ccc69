import { change } from '../engine/palette.ts';
import { flag, rootFrame, type Layout } from '../engine/types.ts';
import { looks, Palette, shadeOf, type Theme } from './colours.ts';
import { Labels } from './labels.ts';

export type { Theme } from './colours.ts';

export interface Options { icicle: boolean; diff: boolean; theme: Theme; search: string }

export interface Seen { from: number; to: number; top: number }

export const rowHeight = 18;
const font = '11.5px system-ui, sans-serif';
const narrowest = 26; // pixels below which there is no label
const gap = 3; // pixels from which on a frame has a gap to its right

/**
 * Draws what is seen of a layout. Each row of frames is one row of pixels in a picture as wide as the canvas, which is then
 * stretched: what a drawing costs depends on the canvas, not on how many frames there are, since frames that are narrower
 * than a pixel are skipped by searching for the next pixel's.
 */
export class Painter {
  private c: CanvasRenderingContext2D;
  private strip: { canvas: HTMLCanvasElement; c: CanvasRenderingContext2D; image: ImageData; pixels: Uint32Array } | null = null;
  private palettes: Partial<Record<Theme, Palette>> = {};
  private labels = new Labels();
  private shades = new Uint8Array(0); // shade + 1 of functions
  private shadesOf: object | null = null;
  private width = 1;
  private height = 1;
  private ratio = 1;

  constructor(private canvas: HTMLCanvasElement) {
    this.c = canvas.getContext('2d', { alpha: false })!;
  }

  /** Sizes are those of the page; ratio is how many pixels of the screen one of them has. */
  resize(width: number, height: number, ratio: number): void {
    Object.assign(this, { width, height, ratio });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.strip = null;
    this.c.font = font;
    this.labels.measure(this.c);
  }

  /** Makes what the first drawing would wait for: colours, the picture, letters. */
  ready(theme: Theme): void {
    const { c } = this, rows = Math.ceil(this.height / rowHeight) + 1, { paper } = looks[theme];
    const strip = this.strips(rows);
    strip.pixels.fill(this.palette(theme).paper);
    this.stretch(strip, rows, { icicle: true, diff: false, theme, search: '' }, { from: 0, to: 1, top: 0 }, 0, rows, paper);
    c.font = font;
    for (let i = 32; i < 127; i++) c.fillText(String.fromCharCode(i), 0, 9);
  }

  private palette(theme: Theme): Palette { return (this.palettes[theme] ??= new Palette(theme)); }

  paint(l: Layout, o: Options, seen: Seen, hovered: number, selected: number): void {
    const { c, ratio } = this;
    const look = looks[o.theme];
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.fillStyle = look.paper;
    c.fillRect(0, 0, this.width, this.height);
    this.labels.use(l.frames);
    const depths = l.levels.length - 1;
    const first = Math.max(0, Math.floor(seen.top / rowHeight));
    const last = Math.min(depths - 1, Math.floor((seen.top + this.height) / rowHeight));
    if (last < first) return;
    const texts: number[] = [], elided: number[] = [];
    const root = depthOf(l, l.root);
    const strip = this.strips(last - first + 1);
    for (let d = first; d <= last; d++) {
      // The picture's rows are from top to bottom.
      const row = o.icicle ? d - first : last - d;
      this.row(l, d, strip.pixels.subarray(row * strip.image.width, (row + 1) * strip.image.width), o, seen, d < root, texts, elided);
    }
    this.stretch(strip, last - first + 1, o, seen, first, last, look.paper);
    if (elided.length) this.hatch(l, elided, o, seen, look.faint);
    this.write(l, texts, o, seen, look.ink, look.faint, root);
    if (hovered >= 0) this.outline(l, hovered, o, seen, look.ink, 1);
    if (selected >= 0) this.outline(l, selected, o, seen, look.accent, 2);
  }

  private strips(rows: number) {
    const width = this.canvas.width;
    if (this.strip && this.strip.image.height >= rows) return this.strip;
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = rows + 8;
    const c = canvas.getContext('2d', { willReadFrequently: true })!;
    const image = c.createImageData(width, rows + 8);
    return (this.strip = { canvas, c, image, pixels: new Uint32Array(image.data.buffer) });
  }

  /** Colours the pixels of one depth, and notes which of its entries have a label and which are hatched. */
  private row(l: Layout, d: number, pixels: Uint32Array, o: Options, seen: Seen, above: boolean, texts: number[], elided: number[]): void {
    const palette = this.palette(o.theme);
    const { x, w } = l;
    const scale = pixels.length / (seen.to - seen.from), end = l.levels[d + 1]!;
    const wide = narrowest * this.ratio, separate = gap * this.ratio, line = Math.max(1, Math.round(this.ratio * 0.75));
    pixels.fill(palette.paper);
    let e = search(x, l.levels[d]!, end, seen.from);
    if (e > l.levels[d]! && x[e - 1]! + w[e - 1]! > seen.from) e--;
    while (e < end && x[e]! < seen.to) {
      const a = (x[e]! - seen.from) * scale, b = a + w[e]! * scale;
      const from = Math.max(0, Math.round(a)), to = Math.min(pixels.length, Math.round(b));
      if (to > from) {
        const colour = this.colour(l, e, palette, o, above);
        pixels.fill(colour, from, b - a >= separate && to < pixels.length ? to - line : to);
        if (to - from >= wide) texts.push(e, d);
        if (l.flags[e]! & flag.elided && to - from >= separate) elided.push(e, d);
        e++;
        continue;
      }
      // Narrower than a pixel: one of those that share it stands for all, if any of them covers enough of it to be seen.
      let next = gallop(x, e + 1, end, seen.from + (Math.floor(a) + 1) / scale);
      // The last of them may reach far beyond the pixel: it is drawn by itself.
      if (next - 1 > e && Math.round((x[next - 1]! + w[next - 1]! - seen.from) * scale) > Math.round((x[next - 1]! - seen.from) * scale)) next--;
      const covered = (x[next - 1]! + w[next - 1]! - x[e]!) * scale;
      if (covered > 0.4 && Math.floor(a) >= 0) pixels[Math.floor(a)] = this.colour(l, e, palette, o, above);
      e = next;
    }
  }

  private colour(l: Layout, e: number, palette: Palette, o: Options, above: boolean): number {
    const flags = l.flags[e]!;
    const dim = above || (o.search !== '' && !(flags & (flag.matched | flag.under))) ? 1 : 0;
    if (flags & flag.matched && o.search) return palette.matched;
    const f = l.frame[e]!;
    if (o.diff && l.baseTotal) return palette.diff(change(l.total[e]!, l.baseTotal[e]!), dim);
    if (f === rootFrame) return palette.kind(11, 7, dim);
    if (this.shadesOf !== l.frames) {
      this.shadesOf = l.frames;
      this.shades = new Uint8Array(Math.max(64, l.frames.length));
    }
    if (f >= this.shades.length) {
      const old = this.shades;
      this.shades = new Uint8Array(Math.max(f + 1, old.length * 2));
      this.shades.set(old);
    }
    let shade = this.shades[f]!;
    if (shade === 0) this.shades[f] = shade = shadeOf(l.frames.get(f)) + 1;
    return palette.kind(l.kind[e]!, shade - 1, dim);
  }

  private stretch(strip: NonNullable<Painter['strip']>, rows: number, o: Options, seen: Seen, first: number, last: number, paper: string): void {
    const { c } = this;
    strip.c.putImageData(strip.image, 0, 0, 0, 0, strip.image.width, rows);
    c.imageSmoothingEnabled = false;
    const y = o.icicle ? first * rowHeight - seen.top : this.height - (last + 1) * rowHeight + seen.top;
    c.drawImage(strip.canvas, 0, 0, strip.image.width, rows, 0, y, this.width, rows * rowHeight);
    c.fillStyle = paper;
    for (let r = 1; r <= rows; r++) c.fillRect(0, y + r * rowHeight - 1, this.width, 1);
  }

  private y(depth: number, o: Options, seen: Seen): number {
    return o.icicle ? depth * rowHeight - seen.top : this.height - (depth + 1) * rowHeight + seen.top;
  }

  /** Where an entry is, in pixels, as far as it is seen. */
  private span(l: Layout, e: number, seen: Seen): { x: number; w: number } {
    const scale = this.width / (seen.to - seen.from);
    const a = Math.max(0, (l.x[e]! - seen.from) * scale), b = Math.min(this.width, (l.x[e]! + l.w[e]! - seen.from) * scale);
    return { x: a, w: b - a };
  }

  private write(l: Layout, texts: number[], o: Options, seen: Seen, ink: string, faint: string, root: number): void {
    const { c } = this;
    c.font = font;
    c.textBaseline = 'middle';
    c.direction = 'ltr';
    for (const dim of [false, true]) {
      c.fillStyle = dim ? faint : ink;
      for (let i = 0; i < texts.length; i += 2) {
        const e = texts[i]!, d = texts[i + 1]!;
        const flags = l.flags[e]!;
        if (dim !== (d < root || (o.search !== '' && !(flags & (flag.matched | flag.under))))) continue;
        const { x, w } = this.span(l, e, seen);
        const f = l.frame[e]!;
        let text = f === rootFrame ? 'all' : this.labels.text(f, l.frames.get(f));
        if (o.diff && l.baseTotal) text = sign(l.total[e]!, l.baseTotal[e]!) + text;
        text = this.labels.fit(text, w - 7);
        if (text) c.fillText(text, x + 3, this.y(d, o, seen) + rowHeight / 2);
      }
    }
  }

  /** Only the base has these: slanted lines, whatever their colour is. */
  private hatch(l: Layout, elided: number[], o: Options, seen: Seen, colour: string): void {
    const { c } = this;
    c.save();
    c.beginPath();
    for (let i = 0; i < elided.length; i += 2) {
      const { x, w } = this.span(l, elided[i]!, seen);
      c.rect(x, this.y(elided[i + 1]!, o, seen), Math.max(0, w - 1), rowHeight - 1);
    }
    c.clip();
    c.globalAlpha = 0.35;
    c.strokeStyle = colour;
    c.lineWidth = 1;
    c.beginPath();
    for (let x = -this.height; x < this.width; x += 7) {
      c.moveTo(x, this.height);
      c.lineTo(x + this.height, 0);
    }
    c.stroke();
    c.restore();
  }

  private outline(l: Layout, e: number, o: Options, seen: Seen, colour: string, width: number): void {
    const { x, w } = this.span(l, e, seen);
    if (w <= -2) return;
    const { c } = this;
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.strokeRect(x + width / 2, this.y(depthOf(l, e), o, seen) + width / 2, Math.max(1, w - width), rowHeight - 1 - width);
  }
}

/** What says a difference without colour. */
function sign(now: number, base: number): string {
  const c = change(now, base);
  return Math.abs(c) < 0.02 ? '= ' : c > 0 ? '+ ' : '\u2212 ';
}

function depthOf(l: Layout, entry: number): number {
  let d = 0;
  while (d + 2 < l.levels.length && entry >= l.levels[d + 1]!) d++;
  return d;
}

/** The first of [lo, hi) whose x is at least that. */
function search(x: Float64Array, lo: number, hi: number, at: number): number {
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (x[mid]! < at) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/** The same, where it is likely to be near lo. */
function gallop(x: Float64Array, lo: number, hi: number, at: number): number {
  let step = 1, next = lo;
  while (next < hi && x[next]! < at) {
    lo = next + 1;
    next += step;
    step *= 2;
  }
  return search(x, lo, Math.min(next, hi), at);
}
