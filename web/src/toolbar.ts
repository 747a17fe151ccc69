// The views, the search, how the graph is drawn, and what narrows it down.

import { button, fill, h, nameText, press, setChoices, setText } from './dom.ts';
import type { Layout } from './engine/engine.ts';
import { patternLabel } from './actions.ts';
import type { Session } from './session.ts';
import { views, type State, type ViewName } from './state.ts';
import { percent, span, value } from './units.ts';

export const viewLabels: Record<ViewName, string> = {
  flame: 'Flame graph', table: 'Table', sandwich: 'Sandwich', timeline: 'Timeline', heatmap: 'Heat map', diff: 'Diff', lists: 'Threads', services: 'Services',
};

type Toggle = 'icicle' | 'inverted' | 'collapse' | 'fold' | 'noIdle' | 'complete';
const toggles: [Toggle, string, string][] = [
  ['icicle', 'Icicle', 'Callers above (i)'], ['inverted', 'Inverted', 'From the innermost frame outwards (r)'],
  ['collapse', 'Collapse recursion', 'A function that calls itself is one frame'], ['fold', 'Fold modules', 'Consecutive frames of a module are one'],
  ['complete', 'Only complete', 'Leave out stacks that could not be walked to their end'], ['noIdle', 'Hide idle waits', 'Leave out waits for work: samples labelled idle=true'],
];

export class Toolbar {
  readonly el: HTMLElement;
  readonly input: HTMLInputElement;
  private tabs = new Map<ViewName, HTMLButtonElement>();
  private found = h('span', { class: 'result', role: 'status' });
  private wrong = h('span', { class: 'wrongText' });
  private box: HTMLElement;
  private regexp: HTMLButtonElement;
  private group: HTMLSelectElement;
  private order: HTMLSelectElement;
  private type: HTMLSelectElement;
  private typeLabel: HTMLElement;
  private buttons = new Map<Toggle, HTMLButtonElement>();
  private chips = h('div', { class: 'chips', role: 'group', 'aria-label': 'What narrows the view' });
  private chipsKey = '';
  private typing = 0;

  constructor(private session: Session) {
    const { store } = session;
    const tabs = h('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Views', onkeydown: (e: KeyboardEvent) => this.tabKey(e) });
    views.forEach((v, i) => {
      const b = h('button', { type: 'button', role: 'tab', id: 'tab-' + v, 'aria-controls': 'pane', title: `${viewLabels[v]} (${i + 1})`, onclick: () => store.set({ view: v }) }, viewLabels[v]);
      this.tabs.set(v, b);
      tabs.append(b);
    });
    this.input = h('input', { type: 'search', placeholder: 'Search functions  /', 'aria-label': 'Search functions and modules', spellcheck: 'false', autocomplete: 'off', oninput: () => this.type_() });
    this.regexp = button({ label: '.*', title: 'As a regular expression', pressed: false, class: 'icon', run: () => store.toggle('regexp') });
    this.box = h('div', { class: 'search', role: 'search' }, this.input, this.regexp, this.found, this.wrong);
    const select = (label: string, key: 'group' | 'order' | 'type') => h('select', { 'aria-label': label, onchange: (e: Event) => store.set({ [key]: (e.target as HTMLSelectElement).value, zoom: key === 'group' ? [] : store.state.zoom }) });
    this.group = select('Group by', 'group');
    this.order = select('Order', 'order');
    this.type = select('Value', 'type');
    this.typeLabel = h('label', {}, h('span', { class: 'muted' }, 'Value'), this.type);
    for (const [key, label, title] of toggles) this.buttons.set(key, button({ label, title, pressed: false, run: () => store.toggle(key) }));
    this.el = h('div', { class: 'work' }, h('div', { class: 'bar' }, tabs, h('i', { class: 'grow' }), this.box),
      h('div', { class: 'options', role: 'group', 'aria-label': 'How it is drawn' }, h('label', {}, h('span', { class: 'muted' }, 'Group by'), this.group),
        h('label', {}, h('span', { class: 'muted' }, 'Order'), this.order), this.typeLabel, h('i', { class: 'sep' }), ...this.buttons.values()), this.chips);
  }

  update(layout: Layout | null): void {
    const s = this.session.store.state;
    for (const [v, b] of this.tabs) {
      b.setAttribute('aria-selected', String(v === s.view));
      b.tabIndex = v === s.view ? 0 : -1;
    }
    if (document.activeElement !== this.input && this.input.value !== s.search) this.input.value = s.search;
    press(this.regexp, s.regexp);
    this.showFound(s, layout);
    setChoices(this.group, ['none', 'service', 'process', 'thread', 'module'].map((v) => ({ value: v, label: v === 'none' ? 'nothing' : v })), s.group);
    setChoices(this.order, [{ value: '', label: 'auto' }, { value: 'name', label: 'name' }, { value: 'value', label: 'heaviest first' }], s.order);
    const types = this.session.summary?.types ?? [];
    this.typeLabel.hidden = types.length < 2 || types.some((t) => !t.type);
    setChoices(this.type, types.map((t, i) => ({ value: i === this.session.summary?.default ? '' : t.type, label: t.type.replaceAll('_', ' ') })), s.type);
    for (const [key, b] of this.buttons) press(b, s[key]);
    this.buttons.get('noIdle')!.hidden = !/off_cpu|wall/.test(this.session.kind) && !s.noIdle;
    this.showChips(s, layout);
  }

  private type_(): void {
    clearTimeout(this.typing);
    this.typing = window.setTimeout(() => this.session.store.set({ search: this.input.value }, true), 120);
  }

  private tabKey(e: KeyboardEvent): void {
    const at = views.indexOf(this.session.store.state.view);
    const to = e.key === 'ArrowRight' ? at + 1 : e.key === 'ArrowLeft' ? at - 1 + views.length : -1;
    if (to < 0) return;
    const v = views[to % views.length]!;
    this.session.store.set({ view: v });
    this.tabs.get(v)!.focus();
    e.preventDefault();
    e.stopPropagation();
  }

  private showFound(s: Readonly<State>, layout: Layout | null): void {
    const error = s.search ? layout?.searchError ?? '' : '';
    this.box.classList.toggle('wrong', error !== '');
    this.input.setAttribute('aria-invalid', String(error !== ''));
    setText(this.wrong, error);
    this.wrong.title = error;
    this.wrong.hidden = !error;
    this.found.hidden = !s.search || !!error;
    if (!s.search || !layout || error) return;
    setText(this.found, `${percent(layout.matched, layout.whole)} found`);
    this.found.title = `${value(layout.matched, layout.type.unit)}: ${percent(layout.matched, layout.whole)} of ${this.session.whole(layout)}`;
  }

  private showChips(s: Readonly<State>, layout: Layout | null): void {
    const chips: [string, string, Partial<State>][] = [];
    const list = (key: 'threads' | 'processes' | 'modules' | 'services' | 'labels', label: string) => s[key].forEach((v) => chips.push([label, v, { [key]: s[key].filter((x) => x !== v) }]));
    list('services', 'service'); list('processes', 'process'); list('threads', 'thread'); list('modules', 'module'); list('labels', 'label');
    s.focus.forEach((p) => chips.push(['only with', patternLabel(p), { focus: s.focus.filter((x) => x !== p), focusRoot: s.focusRoot && s.focus.length > 1 }]));
    s.hide.forEach((p) => chips.push(['without', patternLabel(p), { hide: s.hide.filter((x) => x !== p) }]));
    s.hiddenKinds.forEach((k) => chips.push(['without', k + ' frames', { hiddenKinds: s.hiddenKinds.filter((x) => x !== k) }]));
    if (s.selectTo > 0) chips.push(['time', span(s.selectFrom, s.selectTo), { selectFrom: 0, selectTo: 0 }]);
    const missing = s.zoom.length > 0 && !!layout && layout.rootMissing > 0;
    const key = JSON.stringify([chips, s.zoom, missing]);
    if (key === this.chipsKey) return;
    this.chipsKey = key;
    const { store } = this.session;
    fill(this.chips, ...chips.map(([label, text, without]) => h('span', { class: 'chip' }, h('span', { class: 'muted' }, label), nameText(text, 50),
      button({ label: '×', title: `Take "${label}" away`, run: () => store.set(without) }))), ...this.crumbs(s.zoom), missing ? h('span', { class: 'muted' }, 'not in what is shown now') : null);
    this.chips.hidden = chips.length === 0 && s.zoom.length === 0;
  }

  /** The way to what is zoomed to; a long one shows its ends. */
  private crumbs(zoom: string[]): HTMLElement[] {
    if (zoom.length === 0) return [];
    const { store } = this.session;
    const step = (label: string, n: number) => h('button', { type: 'button', class: 'crumb', 'aria-label': 'Zoom to ' + label.slice(0, 100), onclick: () => store.set({ zoom: zoom.slice(0, n) }) }, nameText(label, 32));
    const shown = zoom.map((k, i) => ({ k, i })).filter(({ i }) => zoom.length <= 6 || i < 2 || i >= zoom.length - 3);
    const out: HTMLElement[] = [step('all', 0)];
    let last = -1;
    for (const { k, i } of shown) {
      out.push(h('span', { class: 'muted', 'aria-hidden': 'true' }, i > last + 1 ? '› … ›' : '›'), step(k.split('\u001f')[0]!, i + 1));
      last = i;
    }
    return out;
  }
}
