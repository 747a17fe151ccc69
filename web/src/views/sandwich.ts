// One function over all stacks: above it who calls it, below it what it calls.

import type { App, Panel } from '../app.ts';
import { fill, h, nameText } from '../dom.ts';
import type { Layout } from '../engine/engine.ts';
import { percent, value } from '../units.ts';
import { Chart } from './chart.ts';

export class SandwichPanel implements Panel {
  readonly chart = false;
  readonly el: HTMLElement;
  private callers: Chart;
  private callees: Chart;
  private title = h('h3');
  private below = h('h3', {}, 'What it calls');
  private note = h('div', { class: 'note' });
  private split: HTMLElement;
  private sequence = 0;

  constructor(private app: App) {
    this.callers = new Chart(app, { label: 'Callers', onZoom: (path) => this.pick(this.callers, path) });
    this.callees = new Chart(app, { label: 'Callees', onZoom: (path) => this.pick(this.callees, path) });
    this.split = h('div', { class: 'split' }, h('div', { class: 'half' }, this.title, this.callers.el), h('div', { class: 'half' }, this.below, this.callees.el));
    this.el = h('div', { class: 'view full' }, this.note, this.split);
  }

  update(layout: Layout | null): void {
    const key = this.app.store.state.sandwich, sequence = ++this.sequence;
    if (!key) void this.heaviest(layout, sequence);
    this.note.hidden = !!key;
    this.split.hidden = !key;
    if (!key || !layout) return;
    this.app.engine.sandwich(this.app.session.view(), key).then((s) => {
      if (sequence !== this.sequence) return;
      this.show(s.callers, s.callees, layout);
    }, (e: Error) => {
      if (sequence !== this.sequence) return;
      this.none(e.message);
    });
  }

  leave(): void { this.sequence++; }

  /** Without a function there is one to begin with: the heaviest by itself. */
  private async heaviest(layout: Layout | null, sequence: number): Promise<void> {
    fill(this.note, 'Choose a function to see who calls it and what it calls: press s on a frame, or take one of the table.');
    if (!layout) return;
    const t = await this.app.engine.table(this.app.session.view(), 'self', 1).catch(() => null);
    const first = t?.rows[0];
    if (!first || sequence !== this.sequence) return;
    this.app.store.set({ sandwich: t!.frames.get(first.frame).key }, true);
  }

  private show(callers: Layout, callees: Layout, layout: Layout): void {
    if (callees.whole === 0 && callers.whole === 0) return this.none('This function is in no stack that is shown now.');
    const frame = callees.frames.get(callees.frame[0]!);
    const name = frame.key ? frame.name : this.app.store.state.sandwich.split('\u001f')[0]!;
    fill(this.title, 'Who calls ', nameText(name, 60), h('small', {}, `  ${value(callees.whole, callees.type.unit)} · ${percent(callees.whole, layout.whole)} of ${this.app.session.whole(layout)}`));
    fill(this.below, 'What it calls', h('small', {}, `  self ${value(callees.self[0] ?? 0, callees.type.unit)} · ${percent(callees.self[0] ?? 0, layout.whole)}`));
    this.callers.set(callers, false);
    this.callees.set(callees, true);
  }

  private none(text: string): void {
    this.note.hidden = false;
    this.split.hidden = true;
    fill(this.note, text);
  }

  /** A frame that is opened becomes the function in the middle. */
  private pick(_: Chart, path: string[]): void {
    const key = path.at(-1);
    if (key && key !== this.app.store.state.sandwich) this.app.store.set({ sandwich: key });
  }
}
