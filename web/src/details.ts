// Everything about one frame, as text that can be selected: full names, however long, and what its share is of.

import { copy, frameActions } from './actions.ts';
import type { App, Chosen } from './app.ts';
import { button, fill, h, nameText, visible } from './dom.ts';
import type { Details } from './engine/engine.ts';
import { change, percent, value } from './units.ts';
import { kindSwatch } from './views/legend.ts';

export class DetailsPanel {
  readonly el = h('aside', { class: 'details', 'aria-label': 'Details of a frame', tabindex: '-1', hidden: true });
  chosen: Chosen | null = null;
  private sequence = 0;

  constructor(private app: App, private close: () => void) {}

  /** Shows a frame at once with what is known, then what the engine has to say. */
  show(c: Chosen | null): void {
    this.chosen = c;
    this.sequence++;
    this.el.hidden = c === null;
    if (!c) return this.el.replaceChildren();
    this.render(c, null);
    this.update();
  }

  /** Asks anew, after the data or the view on them changed. */
  update(): void {
    const c = this.chosen, sequence = ++this.sequence;
    if (!c?.path) return;
    this.app.engine.details(this.app.session.view(), c.path).then((d) => {
      if (sequence !== this.sequence) return;
      const base = this.app.session.diff && d ? { baseSelf: d.baseSelf, baseTotal: d.baseTotal, baseWhole: d.baseWhole } : { baseSelf: undefined, baseTotal: undefined };
      this.chosen = { ...c, ...base, self: d?.self ?? 0, total: d?.total ?? 0, whole: d?.whole ?? this.app.session.shown?.whole ?? 0 };
      this.render(this.chosen, d);
    }, () => undefined);
  }

  private render(c: Chosen, d: Details | null): void {
    const f = c.frame, of = this.app.session.whole();
    const scroll = this.el.scrollTop;
    const line = (term: string, text: string, cls = '') => [h('dt', {}, term), h('dd', { class: cls }, text)];
    fill(this.el,
      button({ label: '×', title: 'Close the details', key: 'Esc', class: 'icon plain close', run: this.close }),
      h('h2', {}, kindSwatch(f.kind, this.app.dark()), ' ', h('bdi', { class: 'name', dir: 'auto' }, visible(f.name.slice(0, 70_000)) || '(no name)')),
      h('div', { class: 'muted' }, h('bdi', { class: 'name', dir: 'auto' }, visible(f.module.slice(0, 5000)))),
      h('dl', {},
        ...line('Total', `${value(c.total, c.unit)} · ${percent(c.total, c.whole)}`),
        ...line('Self', `${value(c.self, c.unit)} · ${percent(c.self, c.whole)}`),
        ...line('of', of, 'muted'),
        ...(c.baseTotal !== undefined ? [...line('Base total', `${value(c.baseTotal, c.unit)} · ${percent(c.baseTotal, c.baseWhole ?? 0)}`),
          ...line('Change', `${c.total > c.baseTotal ? '+' : ''}${value(c.total - c.baseTotal, c.unit)} · ${change(c.total, c.baseTotal)}`, c.total > c.baseTotal ? 'more' : 'less')] : []),
        ...(d && d.paths > 1 ? line(`In all ${d.paths} call paths`, `total ${value(d.functionTotal, c.unit)} · ${percent(d.functionTotal, d.whole)}, self ${value(d.functionSelf, c.unit)}`) : []),
        ...line('Kind', f.kind + (f.inlined ? ', inlined' : '')),
        ...(f.file ? [h('dt', {}, 'Source'), h('dd', {}, h('bdi', { class: 'name', dir: 'auto' }, visible(f.file.slice(0, 5000)) + (f.line ? ':' + f.line : '')))] : [])),
      h('div', { class: 'actions' }, ...frameActions(this.app.store, f, c.path).filter((a) => a !== null).map((a) => button({ label: a.label, key: a.key, run: a.run })),
        f.file ? button({ label: 'Copy the place', run: () => void copy(`${f.file}:${f.line}`) }) : null),
      ...(d ? this.more(c, d) : []));
    this.el.scrollTop = scroll;
  }

  private more(c: Chosen, d: Details): HTMLElement[] {
    const row = (left: Node, right: string) => h('li', {}, left, h('span', { class: 'num muted' }, right));
    const out: HTMLElement[] = [];
    if (d.lines.length > 1 || (d.lines[0]?.file && d.lines[0].line)) {
      out.push(h('h3', {}, 'Lines'), h('ol', { tabindex: 0 }, ...d.lines.map((l) => row(nameText(`${l.file.split('/').pop()}:${l.line}`, 40), `${value(l.total, c.unit)} · self ${value(l.self, c.unit)}`))));
    }
    if (d.threads.length > 0) {
      out.push(h('h3', {}, 'Threads'), h('ol', { tabindex: 0 }, ...d.threads.map((t) => row(h('span', {}, nameText(t.name, 40), ' ', h('bdi', { class: 'muted' }, visible(t.detail.slice(0, 80)))), `${percent(t.value, d.total)} of it`))));
    }
    const { store } = this.app;
    out.push(h('h3', {}, store.state.inverted ? 'From the leaf' : 'Call path'), h('ol', { tabindex: 0 }, ...d.path.map((f, i) => h('li', {},
      h('button', { type: 'button', title: 'Zoom to it', onclick: () => store.set({ zoom: d.path.slice(0, i + 1).map((x) => x.key) }) }, nameText(f.name, 80))))));
    return out;
  }
}
