// Functions with their self and total values: all that the flame graph shows, as text, and the change when two sides are compared.

import type { App, Chosen, Panel } from '../app.ts';
import { fill, h, nameText } from '../dom.ts';
import type { Layout, Row, Sort, Table } from '../engine/engine.ts';
import { keyOf } from '../engine/key.ts';
import type { State } from '../state.ts';
import { change, percent, value } from '../units.ts';
import { VirtualList } from '../virtual.ts';
import { kindSwatch } from './legend.ts';

/** More rows than anyone reads; the sum of functions says how many there are. */
const limit = 20_000;

type Column = { sort: State['sort'] | ''; label: string; title: string };

const plain: Column[] = [
  { sort: 'name', label: 'Function', title: 'By name' }, { sort: '', label: '', title: '' },
  { sort: 'self', label: 'Self', title: 'Measured in the function itself' }, { sort: '', label: '% self', title: '' },
  { sort: 'total', label: 'Total', title: 'With everything that it calls, recursion counted once' }, { sort: '', label: '% total', title: '' },
];
const compared: Column[] = [
  { sort: 'name', label: 'Function', title: 'By name' }, { sort: '', label: '', title: '' },
  { sort: '', label: 'Base', title: 'Total in the base, scaled' }, { sort: 'total', label: 'Now', title: 'Total now' },
  { sort: 'diff', label: 'Change', title: 'Now less base, by size' }, { sort: '', label: 'in %', title: 'Of the base' },
];

export class TablePanel implements Panel {
  readonly chart = false;
  readonly el: HTMLElement;
  private list: VirtualList<Row>;
  private head = h('div', { role: 'row' });
  private foot = h('div', { class: 'foot' });
  private table: Table | null = null;
  private most = 1; // the longest bar
  private sequence = 0;

  constructor(private app: App, private diff: boolean) {
    this.list = new VirtualList<Row>({
      label: 'Functions', columns: diff ? 'cols-diff' : 'cols-table', height: 26, head: this.head,
      row: (r) => this.cells(r), classes: (r) => (r.matched ? 'matched' : ''), key: (r) => keyOf(r.name, r.module),
      onOpen: (r) => app.choose(this.chosen(r)), onContext: (r, x, y) => app.context(this.chosen(r), x, y),
      onHover: (on) => app.session.hold('the pointer', on),
    });
    this.el = h('div', { class: 'view full' }, this.list.el, this.foot);
    this.columns();
  }

  update(layout: Layout | null): void {
    if (!layout) return;
    const sequence = ++this.sequence, { sort } = this.app.store.state;
    const by: Sort = this.diff ? (sort === 'self' ? 'diff' : sort) : sort === 'diff' ? 'self' : sort;
    void this.app.engine.table(this.app.session.view(), by, limit).then((t) => {
      if (sequence !== this.sequence) return;
      this.table = t;
      this.columns();
      const rows = this.app.store.state.search ? t.rows.filter((r) => r.matched) : t.rows;
      const weight = (r: Row) => (this.diff ? Math.abs(r.total - (r.baseTotal ?? 0)) : sort === 'total' ? r.total : r.self);
      this.most = rows.reduce((m, r) => Math.max(m, weight(r)), 0) || 1;
      this.list.set(rows);
      fill(this.foot, h('span', {}, `${rows.length} of ${t.functions} functions`), h('span', { class: 'muted' }, 'Percentages are of ' + this.app.session.whole(layout)));
    }, () => undefined);
  }

  leave(): void { this.sequence++; this.app.session.hold('the pointer', false); }

  private columns(): void {
    const { sort } = this.app.store.state;
    const active = this.diff && sort === 'self' ? 'diff' : !this.diff && sort === 'diff' ? 'self' : sort;
    const key = active + this.diff;
    if (this.head.dataset.key === key) return;
    this.head.dataset.key = key;
    this.head.className = 'thead ' + (this.diff ? 'cols-diff' : 'cols-table');
    fill(this.head, ...(this.diff ? compared : plain).map((c, i) => h('div', {
      role: 'columnheader', class: i > 1 ? 'num' : '', 'aria-sort': c.sort && c.sort === active ? (c.sort === 'name' ? 'ascending' : 'descending') : undefined,
    }, c.sort ? h('button', { type: 'button', title: c.title, onclick: () => this.app.store.set({ sort: c.sort as State['sort'] }, true) },
        c.label + (c.sort === active ? (c.sort === 'name' ? ' ↑' : ' ↓') : '')) : h('span', { class: 'muted', title: c.title || undefined }, c.label))));
  }

  private cells(r: Row): HTMLElement[] {
    const t = this.table!, unit = t.type.unit;
    const fn = h('div', { class: 'fn' }, kindSwatch(r.kind, this.app.dark()), nameText(r.name), r.module ? h('bdi', { class: 'muted', dir: 'auto' }, nameText(shortModule(r.module), 40)) : null);
    const number = (text: string, c = '') => h('div', { class: 'num ' + c }, text);
    if (!this.diff) {
      const share = this.app.store.state.sort === 'total' ? r.total : r.self;
      return [fn, meter(share / this.most), number(value(r.self, unit)), number(percent(r.self, t.whole), 'muted'), number(value(r.total, unit)), number(percent(r.total, t.whole), 'muted')];
    }
    const base = r.baseTotal ?? 0, d = r.total - base, c = d > 0 ? 'more' : d < 0 ? 'less' : 'muted';
    return [fn, meter(Math.abs(d) / this.most, c), number(value(base, unit)), number(value(r.total, unit)), number((d > 0 ? '+' : '') + value(d, unit), c), number(change(r.total, base), c)];
  }

  private chosen(r: Row): Chosen {
    const t = this.table!;
    return { frame: t.frames.get(r.frame), path: null, self: r.self, total: r.total, baseSelf: r.baseSelf, baseTotal: r.baseTotal, whole: t.whole, baseWhole: t.baseWhole, unit: t.type.unit };
  }
}

export const shortModule = (m: string): string => m.split('/').pop() || m;

export function meter(share: number, kind = ''): HTMLElement {
  const i = h('i');
  i.style.width = Math.max(0, Math.min(100, share * 100)) + '%';
  if (kind === 'more' || kind === 'less') i.style.background = `var(--${kind})`;
  return h('div', { class: 'meter', 'aria-hidden': 'true' }, i);
}
