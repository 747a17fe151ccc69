// What the colours mean; a press on one takes frames of that kind out.

import type { App } from '../app.ts';
import { fill, h } from '../dom.ts';
import { flag, kinds, type Layout } from '../engine/engine.ts';
import { diffColour } from '../engine/palette.ts';
import { kindColour, looks, type Theme } from '../flame/colours.ts';

export function kindSwatch(kind: string, dark: boolean): HTMLElement {
  const e = h('i', { class: 'swatch', title: kind });
  e.style.background = kindColour((kinds as readonly string[]).indexOf(kind), theme(dark));
  return e;
}

const theme = (dark: boolean): Theme => (dark ? 'dark' : 'light');

/** What the colours of a difference mean. */
export function diffLegend(dark: boolean): HTMLElement[] {
  return ([[-0.9, 'less'], [0, 'the same'], [0.9, 'more']] as const).map(([change, label]) => {
    const i = h('i', { class: 'swatch' });
    i.style.background = diffColour(change, looks[theme(dark)].lightness);
    return h('span', {}, i, label);
  });
}

const labels: Record<string, string> = { native: 'native', JIT: 'JIT', kernel: 'kernel', marker: 'incomplete', process: 'group', other: 'other' };

export class Legend {
  readonly el = h('div', { class: 'legend', role: 'group', 'aria-label': 'Kinds of frames; press one to take it out' });
  private key = '';

  constructor(private app: App) {}

  update(layout: Layout): void {
    const seen = new Uint8Array(kinds.length);
    for (let i = 1; i < layout.n; i++) seen[layout.kind[i]!] = 1;
    const hidden = this.app.store.state.hiddenKinds;
    const shown = kinds.filter((k, i) => seen[i] || hidden.includes(k));
    const key = [this.app.dark(), ...shown, '|', ...hidden].join();
    if (key === this.key) return;
    this.key = key;
    fill(this.el, ...shown.map((k) => h('button', {
      type: 'button', 'aria-pressed': String(!hidden.includes(k)), title: hidden.includes(k) ? `Show ${k} frames again` : `Take ${k} frames out`,
      onclick: () => this.app.store.set({ hiddenKinds: hidden.includes(k) ? hidden.filter((x) => x !== k) : [...hidden, k], zoom: [] }),
    }, kindSwatch(k, this.app.dark()), labels[k] ?? k)));
  }
}

/** Whether a difference has stacks that only the base has. */
export function hasElided(layout: Layout): boolean {
  return layout.flags.some((f) => (f & flag.elided) !== 0);
}
