import { hash } from '../engine/key.ts';
import { diffColour, oklch, steps, tones } from '../engine/palette.ts';
import type { Frame } from '../engine/types.ts';

export type Theme = 'light' | 'dark';

const hueShifts = 6;
const lightShifts = 3;
export const shades = hueShifts * lightShifts;

/** What a theme looks like; the page around the chart may use it for its legends. */
export interface Look { paper: string; ink: string; faint: string; accent: string; lightness: number; step: number }

export const looks: Record<Theme, Look> = {
  light: { paper: '#ffffff', ink: '#17181c', faint: '#5c5f66', accent: '#7a00cc', lightness: 0.84, step: 0.025 },
  dark: { paper: '#16171b', ink: '#f2f2f4', faint: '#a2a5ad', accent: '#e0b3ff', lightness: 0.44, step: 0.025 },
};

/** The colour of a kind of frames, by its number, as a legend shows it. */
export function kindColour(kind: number, theme: Theme): string {
  const tone = tones[kind] ?? tones.at(-1)!;
  return oklch(looks[theme].lightness, tone.chroma, tone.hue);
}

/** Which of its kind's colours a frame has: by names only, so that it keeps it from one profile to the next. */
export function shadeOf(f: Frame): number {
  let module = f.module;
  if (f.kind === 'Go' || f.kind === 'inlined') { // a Go program is one module: its packages count
    const slash = f.name.lastIndexOf('/') + 1, dot = f.name.indexOf('.', slash);
    if (dot > slash) module = f.name.slice(0, dot);
  }
  return (hash(module.slice(0, 256)) % hueShifts) * lightShifts + (hash(f.name.slice(0, 256)) % lightShifts);
}

/** Pixels (as a Uint32Array over RGBA sees them) of all colours of a theme, plain and dimmed. */
export class Palette {
  private kinds = [new Uint32Array(tones.length * shades), new Uint32Array(tones.length * shades)] as const;
  private diffs = [new Uint32Array(2 * steps + 1), new Uint32Array(2 * steps + 1)] as const;
  readonly paper: number;
  readonly matched: number;

  constructor(theme: Theme) {
    const look = looks[theme];
    this.paper = pixel(look.paper, look.paper, 1);
    this.matched = pixel(theme === 'light' ? '#e59bff' : '#8a2bc2', look.paper, 1);
    for (const dim of [0, 1] as const) {
      const part = dim ? 0.38 : 1;
      tones.forEach((tone, k) => {
        for (let s = 0; s < shades; s++) {
          const hue = tone.hue + (Math.floor(s / lightShifts) - (hueShifts - 1) / 2) * 6;
          const light = look.lightness + ((s % lightShifts) - 1) * look.step;
          this.kinds[dim][k * shades + s] = pixel(oklch(light, tone.chroma, hue), look.paper, part);
        }
      });
      for (let d = -steps; d <= steps; d++) this.diffs[dim][d + steps] = pixel(diffColour(d / steps, look.lightness), look.paper, part);
    }
  }

  kind(kind: number, shade: number, dim: 0 | 1): number { return this.kinds[dim][kind * shades + shade]!; }

  /** change: -1..1 */
  diff(change: number, dim: 0 | 1): number { return this.diffs[dim][Math.round(Math.max(-1, Math.min(1, change)) * steps) + steps]!; }
}

function pixel(colour: string, paper: string, part: number): number {
  const mix = (i: number) => Math.round(parseInt(colour.slice(i, i + 2), 16) * part + parseInt(paper.slice(i, i + 2), 16) * (1 - part));
  return ((255 << 24) | (mix(5) << 16) | (mix(3) << 8) | mix(1)) >>> 0; // little-endian, as everything that runs browsers is
}
