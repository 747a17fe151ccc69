// Colours of the kinds of frames, as pkg/render/svg_palette.go has them: the kind gives the hue, the module shifts it.

/** Hue in degrees and chroma of the OKLCH colour space, by number of the kind. */
export const tones: readonly { hue: number; chroma: number }[] = [
  95, 0.085, // native
  268, 0.085, // C
  308, 0.085, // C++
  64, 0.1, // Rust
  215, 0.09, // Go
  150, 0.1, // JIT
  124, 0.11, // interpreter
  345, 0.07, // inlined
  27, 0.11, // kernel
  10, 0.06, // vDSO
  260, 0, // marker
  260, 0.018, // process
  260, 0, // other
].flatMap((hue, i, all) => (i % 2 ? [] : { hue, chroma: all[i + 1]! }));

/** A colour of OKLCH as #rrggbb, by the definition of Oklab (https://bottosson.github.io/posts/oklab/). */
export function oklch(l: number, c: number, hue: number): string {
  const a = c * Math.cos((hue * Math.PI) / 180), b = c * Math.sin((hue * Math.PI) / 180);
  const long = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const medium = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const short = (l - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return '#' + [
    4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
    -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
    -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
  ].map((x) => {
    const v = x <= 0.0031308 ? x * 12.92 : 1.055 * x ** (1 / 2.4) - 0.055;
    return Math.round(255 * Math.min(Math.max(v, 0), 1)).toString(16).padStart(2, '0');
  }).join('');
}

/** How much more or less, -1..1: 1 is new, -1 gone, and half of it twice or half as much. */
export function change(now: number, base: number): number {
  const most = Math.max(Math.abs(now), Math.abs(base));
  return most > 0 ? (now - base) / most : 0;
}

/** Steps of a difference on each side of equal. */
export const steps = 8;

/**
 * -1 (gone or far less: blue) .. 0 (equal: grey) .. 1 (new or far more: red), around the lightness of a theme's frames. Red
 * and blue also differ in lightness.
 */
export function diffColour(change: number, l: number): string {
  const part = Math.min(1, Math.abs(change));
  const away = l > 0.6 ? -1 : 1;
  if (part < 0.5 / steps) return oklch(l + 0.04, 0, 0);
  return change > 0 ? oklch(l + away * 0.16 * part, 0.03 + 0.14 * part, 27) : oklch(l + away * 0.08 * part, 0.02 + 0.1 * part, 250);
}
