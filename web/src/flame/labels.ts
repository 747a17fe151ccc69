import type { Frame, Frames } from '../engine/types.ts';

/** More of a name is never drawn. */
const longest = 400;

const hostile = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** A name as a canvas may draw it: cut before anything else looks at it, without controls and overrides of direction. */
export function drawable(name: string): string {
  const cut = name.length > longest ? `${name.slice(0, longest)}\u2026` : name;
  return cut.replace(hostile, '\ufffd') || '[unknown]';
}

/** The names of functions as they are drawn, and how much of each fits. Nothing is measured while drawing. */
export class Labels {
  private frames: Frames | null = null;
  private texts: string[] = [];
  private ascii = new Float32Array(128);
  private wide = 12;

  /** Takes widths of characters from a context that has the font set. */
  measure(c: CanvasRenderingContext2D): void {
    for (let i = 32; i < 127; i++) this.ascii[i] = c.measureText(String.fromCharCode(i)).width;
    this.wide = Math.max(c.measureText('\u4e2d').width, c.measureText('M').width);
  }

  use(frames: Frames): void {
    if (frames === this.frames) return;
    this.frames = frames;
    this.texts = [];
  }

  text(i: number, frame: Frame): string { return (this.texts[i] ??= drawable(frame.name)); }

  /** As much of a text as fits into a width, with an ellipsis in its place; '' where less than three characters do. */
  fit(text: string, width: number): string {
    let used = 0, fits = 0;
    const ellipsis = this.ascii[46]! * 3;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      used += c < 128 ? this.ascii[c]! : this.wide;
      if (used + ellipsis <= width) fits = i + 1;
      if (used > width) return fits < 3 ? '' : isolate(`${text.slice(0, whole(text, fits))}\u2026`);
    }
    return isolate(text);
  }
}

/** Does not cut a pair of surrogates in two. */
function whole(text: string, n: number): number {
  const c = text.charCodeAt(n - 1);
  return c >= 0xd800 && c < 0xdc00 ? n - 1 : n;
}

/** Right-to-left text stays to itself. */
function isolate(s: string): string {
  for (let i = 0; i < s.length; i++) if (s.charCodeAt(i) >= 0x590 && s.charCodeAt(i) !== 0x2026) return `\u2068${s}\u2069`;
  return s;
}
