// All services at a glance: how much each has, how that went, and what it spends it on.

import * as api from '../api.ts';
import type { App, Panel } from '../app.ts';
import { fill, h, nameText } from '../dom.ts';
import type { Item, Layout, Row } from '../engine/engine.ts';
import { percent, value } from '../units.ts';
import { VirtualList } from '../virtual.ts';
import { meter } from './table.ts';
import { sparkline } from './timeline.ts';

interface Line { item: Item; top: Row | null; values: (number | null)[] }

/** Functions and lines over time are asked for so many, the heaviest; one at a time. */
const looked = 25, every = 10_000;

export class ServicesPanel implements Panel {
  readonly chart = false;
  readonly el: HTMLElement;
  private list: VirtualList<Line>;
  private known = new Map<string, { top: Row | null; values: (number | null)[]; at: number }>();
  private foot = h('div', { class: 'foot' });
  private items: Item[] = [];
  private whole = 0;
  private unit = '';
  private sequence = 0;
  private busy = false;
  private abort = new AbortController();

  constructor(private app: App) {
    const head = h('div', { class: 'thead cols-services', role: 'row' }, ...['Service', 'Value', 'Share', 'Last 15 min', 'Hottest function'].map((t, i) => h('div', { role: 'columnheader', class: i === 1 || i === 2 ? 'num muted' : 'muted' }, i === 3 && app.session.file ? '' : t)));
    this.list = new VirtualList<Line>({
      label: 'Services', columns: 'cols-services', height: 38, head, row: (l) => this.cells(l), key: (l) => l.item.key,
      onOpen: (l) => this.take(l.item.key), onHover: (on) => app.session.hold('the pointer', on),
    });
    this.el = h('div', { class: 'view full' }, this.list.el, this.foot);
  }

  update(layout: Layout | null): void {
    if (!layout) return;
    const sequence = ++this.sequence, view = this.app.session.view();
    view.filter = { ...view.filter, services: undefined };
    this.unit = layout.type.unit;
    this.app.engine.lists(view).then((l) => {
      if (sequence !== this.sequence) return;
      this.whole = l.whole;
      const items = this.items = l.services;
      this.list.set(items.map((item) => this.line(item)));
      fill(this.foot, h('span', {}, `${items.length} services`), h('span', { class: 'muted' }, 'Shares are of ' + this.app.session.whole(layout) + '. A press shows one.'));
      void this.look(items.slice(0, looked));
    }, () => undefined);
  }

  leave(): void {
    this.sequence++;
    this.abort.abort();
    this.abort = new AbortController();
    this.known.clear();
    this.app.session.hold('the pointer', false);
  }

  private line(item: Item): Line {
    const k = this.known.get(item.key);
    return { item, top: k?.top ?? null, values: k?.values ?? [] };
  }

  private async look(items: Item[]): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    const { signal } = this.abort, now = this.app.session.now, { kind } = this.app.store.state;
    for (const item of items) {
      const old = this.known.get(item.key);
      if (old && Date.now() - old.at < every) continue;
      const view = this.app.session.view();
      view.filter = { ...view.filter, services: [item.key] };
      const table = await this.app.engine.table(view, 'self', 1).catch(() => null);
      const line = this.app.session.file ? null
        : await api.timeline({ kind, service: item.key, from: api.seconds(now - 900_000), to: api.seconds(now), buckets: 60 }, signal).catch(() => null);
      if (signal.aborted) break;
      this.known.set(item.key, { top: table?.rows[0] ?? null, values: line?.values ?? [], at: Date.now() });
      this.list.set(this.items.map((i) => this.line(i)));
    }
    this.busy = false;
  }

  private cells(l: Line): HTMLElement[] {
    const spark = h('canvas', { class: 'spark', 'aria-hidden': 'true' });
    if (l.values.length) requestAnimationFrame(() => { if (spark.isConnected) sparkline(spark, l.values); });
    const top = l.top;
    return [
      h('div', {}, nameText(l.item.name || l.item.key, 60), meter(l.item.value / (this.whole || 1))),
      h('div', { class: 'num' }, value(l.item.value, this.unit)), h('div', { class: 'num muted' }, percent(l.item.value, this.whole)), h('div', {}, spark),
      h('div', {}, ...(top ? [nameText(top.name, 60), h('span', { class: 'muted' }, '  ' + percent(top.self, l.item.value) + ' of it')] : [])),
    ];
  }

  private take(service: string): void {
    this.app.store.set(this.app.session.file ? { services: [service], view: 'flame', zoom: [] } : { service, view: 'flame', zoom: [] });
  }
}
