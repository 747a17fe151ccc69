// What changed between two spans, services or files: what is compared, how it is scaled, what the colours mean.

import * as api from '../api.ts';
import type { App, Panel } from '../app.ts';
import { button, fill, h, press, setChoices, setText } from '../dom.ts';
import type { Layout } from '../engine/engine.ts';
import { askRange, comparison, presets, rangeLabel, swapped } from '../ranges.ts';
import { isLive, type State } from '../state.ts';
import { change, value } from '../units.ts';
import { diffLegend } from './legend.ts';
import { TablePanel } from './table.ts';

export class DiffPanel implements Panel {
  readonly el: HTMLElement;
  private table: TablePanel;
  private now = this.side('Now', false);
  private base = this.side('Base', true);
  private normal: HTMLSelectElement;
  private elided: HTMLButtonElement;
  private asTable: HTMLButtonElement;
  private asFlame: HTMLButtonElement;
  private sum = h('b');
  private colours = h('span', { class: 'diffkey' });
  private file = h('span', {});
  private sides: HTMLElement;

  constructor(private app: App, private services: () => string[]) {
    const { store, session } = app;
    this.table = new TablePanel(app, true);
    this.normal = h('select', { 'aria-label': 'How the base is scaled', onchange: () => store.set({ diff: this.normal.value as State['diff'] }) });
    this.elided = button({ label: 'Elided', title: 'Also draw what only the base has', pressed: true, run: () => store.toggle('elided') });
    this.asFlame = button({ label: 'Flame graph', pressed: true, run: () => store.set({ diffTable: false }) });
    this.asTable = button({ label: 'Table', pressed: false, run: () => store.set({ diffTable: true }) });
    const compare = (which: Parameters<typeof comparison>[0]) => () => store.set(comparison(which, session));
    this.sides = h('div', { class: 'sides' }, this.now.el, button({ label: '⇄', title: 'Swap both sides', key: 'x', class: 'icon', run: () => { const c = swapped(store.state); if (c) store.set(c); } }), this.base.el,
      h('i', { class: 'sep' }), button({ label: 'This minute and the one before', key: 'd', run: compare('minute') }), button({ label: 'The span before', title: 'The same length of time right before it', run: compare('before') }),
      button({ label: 'An hour earlier', run: compare('hour') }));
    this.el = h('div', { class: 'view' }, this.sides, h('div', { class: 'sides' }, this.file, this.sum,
      h('label', {}, 'Scaled to the same', this.normal), this.elided, h('i', { class: 'sep' }), this.asFlame, this.asTable, h('i', { class: 'grow' }), this.colours), this.table.el);
  }

  get chart(): boolean { return !this.app.store.state.diffTable; }

  update(layout: Layout | null): void {
    const { session, store } = this.app, s = store.state;
    this.sides.hidden = session.file;
    this.table.el.hidden = this.chart;
    this.el.classList.toggle('full', !this.chart);
    press(this.asTable, s.diffTable);
    press(this.asFlame, !s.diffTable);
    setChoices(this.normal, [{ value: 'time', label: 'time' }, { value: 'total', label: 'total' }, { value: 'none', label: '(as measured)' }], s.diff);
    press(this.elided, s.elided);
    if (!session.file) this.sidesOf(s);
    this.file.hidden = !session.file;
    setText(this.file, session.file && session.summary?.base ? `${session.summary.title || 'now'} compared with ${session.summary.base.title || 'the base'}` : '');
    fill(this.colours, ...diffLegend(this.app.dark()));
    if (!layout || !session.diff) return setText(this.sum, '');
    const d = layout.whole - layout.baseWhole;
    setText(this.sum, `${value(layout.baseWhole, layout.type.unit)} → ${value(layout.whole, layout.type.unit)} (${change(layout.whole, layout.baseWhole)})`);
    this.sum.className = d > 0 ? 'more' : d < 0 ? 'less' : '';
    this.sum.title = 'The base is multiplied by ' + layout.baseScale.toPrecision(4);
    if (!this.chart) this.table.update(layout);
  }

  leave(): void { this.table.leave(); }

  private sidesOf(s: Readonly<State>): void {
    const services = [{ value: '', label: 'all services' }, ...this.services().map((v) => ({ value: v, label: v }))];
    const now = this.app.session.now;
    setChoices(this.now.service, services, s.service);
    setChoices(this.base.service, [{ value: '*', label: 'same service' }, ...services], s.baseService);
    const ranges = presets.map((p) => ({ value: p.from + ' ' + p.to, label: p.label })), ask = { value: '?', label: 'Other times…' };
    const key = (from: string, to: string) => from + ' ' + to;
    const current = isLive(s) ? [`now-${s.seconds}s`, 'now'] as const : [s.from, s.to] as const;
    setChoices(this.now.range, withOwn(ranges, key(...current), rangeLabel(...current, now), ask), key(...current));
    setChoices(this.base.range, s.baseTo ? withOwn(ranges, key(s.baseFrom, s.baseTo), rangeLabel(s.baseFrom, s.baseTo, now), ask)
      : [{ value: '', label: 'choose…' }, ...ranges, ask], s.baseTo ? key(s.baseFrom, s.baseTo) : '');
  }

  private side(title: string, base: boolean): { el: HTMLElement; service: HTMLSelectElement; range: HTMLSelectElement } {
    const set = (from: string, to: string) => this.app.store.set(base ? { baseFrom: from, baseTo: to } : { from, to });
    const service = h('select', { 'aria-label': `${title}: service`, onchange: () => this.app.store.set(base ? { baseService: service.value } : { service: service.value }) });
    const range = h('select', { 'aria-label': `${title}: time`, onchange: () => {
      const s = this.app.store.state, now = this.app.session.now;
      if (range.value !== '?') { const [from = '', to = ''] = range.value.split(' '); if (to) set(from, to); return; }
      const from = api.instant(base ? s.baseFrom || 'now-2m' : s.from || 'now-1m', now), to = api.instant(base ? s.baseTo || 'now-1m' : s.to, now);
      range.blur();
      askRange(`${title}: from when to when`, from, to, set);
      this.update(this.app.session.shown);
    } });
    return { el: h('span', { class: 'side' }, h('b', {}, title), service, range), service, range };
  }
}

function withOwn(ranges: { value: string; label: string }[], value: string, label: string, ask: { value: string; label: string }) {
  return ranges.some((r) => r.value === value) ? [...ranges, ask] : [{ value, label }, ...ranges, ask];
}
