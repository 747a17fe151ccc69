// Who has how much: threads, processes, modules, labels. A press narrows the view down to one.

import type { App, Panel } from '../app.ts';
import { button, fill, h, nameText, press, visible } from '../dom.ts';
import type { Item, Layout, Lists } from '../engine/engine.ts';
import type { State } from '../state.ts';
import { percent, value } from '../units.ts';
import { VirtualList } from '../virtual.ts';
import { meter } from './table.ts';

const tabs: [State['list'], string][] = [['threads', 'Threads'], ['processes', 'Processes'], ['modules', 'Modules'], ['labels', 'Labels']];

export class ListsPanel implements Panel {
  readonly chart = false;
  readonly el: HTMLElement;
  private list: VirtualList<Item>;
  private buttons: HTMLButtonElement[];
  private lists: Lists | null = null;
  private unit = '';
  private foot = h('div', { class: 'foot' });
  private sequence = 0;

  constructor(private app: App) {
    const head = h('div', { class: 'thead cols-list', role: 'row' }, ...['Name', '', 'Value', 'Share', 'Stacks'].map((t, i) => h('div', { role: 'columnheader', class: i > 1 ? 'num muted' : 'muted' }, t)));
    this.list = new VirtualList<Item>({
      label: 'Who has how much', columns: 'cols-list', height: 34, head, row: (i) => this.cells(i), key: (i) => i.key,
      classes: (i) => (app.store.state[app.store.state.list].includes(i.key) ? 'matched' : ''),
      onOpen: (i) => this.take(i), onHover: (on) => app.session.hold('the pointer', on),
    });
    this.buttons = tabs.map(([list, label]) => button({ label, pressed: false, run: () => app.store.set({ list }, true) }));
    this.el = h('div', { class: 'view full' }, h('div', { class: 'sides', role: 'group', 'aria-label': 'List' }, ...this.buttons,
      h('span', { class: 'muted' }, 'A press shows the flame graph of it alone.')), this.list.el, this.foot);
  }

  update(layout: Layout | null): void {
    const s = this.app.store.state;
    tabs.forEach(([list], i) => press(this.buttons[i]!, s.list === list));
    if (!layout) return;
    const sequence = ++this.sequence;
    this.unit = layout.type.unit;
    this.app.engine.lists(this.app.session.view()).then((l) => {
      if (sequence !== this.sequence) return;
      this.lists = l;
      const items = l[s.list];
      this.list.set(items);
      fill(this.foot, h('span', {}, items.length ? `${items.length} ${s.list}` : `No sample says its ${s.list}.`),
        h('span', { class: 'muted' }, (s.list === 'modules' ? 'A stack counts for each module it goes through. ' : '') + 'Shares are of ' + this.app.session.whole(layout)));
    }, () => undefined);
  }

  leave(): void { this.sequence++; this.app.session.hold('the pointer', false); }

  private cells(i: Item): HTMLElement[] {
    const whole = this.lists?.whole ?? 0;
    return [
      h('div', {}, nameText(i.name, 90), ' ', h('bdi', { class: 'muted', dir: 'auto' }, visible(i.detail.slice(0, 200)))),
      meter(i.value / (whole || 1)), h('div', { class: 'num' }, value(i.value, this.unit)), h('div', { class: 'num muted' }, percent(i.value, whole)),
      h('div', { class: 'num muted' }, String(i.count)),
    ];
  }

  private take(i: Item): void {
    const { list } = this.app.store.state;
    this.app.store.set({ [list]: [i.key], view: 'flame', zoom: [] });
  }
}
