// What is always in sight: what is shown, of when, and how far it can be trusted.

import type { Kind, Status } from './api.ts';
import { button, fill, h, press, setChoices, setText, setTitle, visible } from './dom.ts';
import type { Layout } from './engine/engine.ts';
import { menuBelow, type MenuItem } from './popup.ts';
import * as api from './api.ts';
import { askRange, presets, rangeLabel } from './ranges.ts';
import type { Session } from './session.ts';
import { isLive } from './state.ts';
import { ago, bytes, clock, count, duration, kindLabel, noun, percent, span, value } from './units.ts';

export interface HeaderOptions { session: Session; exports(): (MenuItem | null)[]; theme(): void; help(): void }

/** Facts in the order in which they stand. */
const order = ['window', 'covered', 'of', 'total', 'samples', 'lost', 'missed', 'skipped', 'incomplete', 'unnamed', 'folded', 'overhead', 'push'];

const reasons = (m: Record<string, number>): string => Object.entries(m).filter(([, n]) => n > 0).map(([k, n]) => `${n} ${k.replaceAll('_', ' ')}`).join(', ');
const sum = (m: Record<string, number>): number => Object.values(m).reduce((a, b) => a + b, 0);

export class Header {
  readonly el: HTMLElement;
  private kind: HTMLSelectElement;
  private service: HTMLSelectElement;
  private range: HTMLSelectElement;
  private pause: HTMLButtonElement;
  private facts = h('div', { class: 'facts', role: 'group', 'aria-label': 'What is shown and how far it can be trusted' });
  private lines = h('ul', { class: 'lines' });
  private made = new Map<string, { el: HTMLElement; label: Text; value: HTMLElement }>();
  private used = new Set<string>();
  private status: Status | null = null;
  private overhead: { share: number; seconds: number } | null = null;
  private linesKey = '';
  private kinds: Kind[] = [];

  constructor(private o: HeaderOptions) {
    const { session } = o, { store } = session;
    this.kind = h('select', { 'aria-label': 'Kind of event', onchange: () => this.pickKind() });
    this.service = h('select', { 'aria-label': 'Service', onchange: () => store.set({ service: this.service.value, zoom: [] }) });
    this.range = h('select', { 'aria-label': 'Time', onchange: () => this.pickRange() });
    this.pause = button({ label: 'Pause', key: 'Space', pressed: false, run: () => session.pause() });
    const controls = session.file ? [] : [this.kind, this.service, this.range, this.pause];
    this.el = h('header', { class: 'top' },
      h('div', { class: 'bar' }, h('span', { class: 'brand' }, h('span', {}, 'ebpfprof')), ...controls, h('i', { class: 'grow' }),
        h('button', { type: 'button', 'aria-haspopup': 'menu', title: 'Export what is shown (e)', id: 'export', onclick: (e: Event) => menuBelow(e, '', o.exports()) }, 'Export'),
        button({ label: '◐', title: 'Light, dark, as the system', key: 't', class: 'icon', run: o.theme }),
        button({ label: '?', title: 'Keys and how to read it', key: '?', class: 'icon', run: o.help })),
      this.facts, this.lines);
  }

  setKinds(kinds: Kind[]): void {
    this.kinds = kinds;
    setChoices(this.kind, kinds.map((k) => ({ value: k.name, label: kindLabel(k.name) + (k.active || k.made_of ? '' : ' (past)') })), this.o.session.store.state.kind);
  }

  setServices(names: string[]): void {
    setChoices(this.service, [{ value: '', label: 'All services' }, ...names.map((n) => ({ value: n, label: n }))], this.o.session.store.state.service);
  }

  /** The cost of the daemon is of the time between two answers; of the first one, since it started. */
  setStatus(status: Status | null): void {
    const cost = (s: Status) => s.overhead.kernel_seconds + s.overhead.user_seconds;
    const old = this.status;
    if (status) {
      const since = old && old.started === status.started ? status.uptime_seconds - old.uptime_seconds : 0;
      if (old && since > 1) this.overhead = { share: Math.max(0, cost(status) - cost(old)) / since, seconds: since };
      else if (!this.overhead && status.uptime_seconds > 0) this.overhead = { share: cost(status) / status.uptime_seconds, seconds: status.uptime_seconds };
    }
    this.status = status;
  }

  update(layout: Layout | null): void {
    const { session } = this.o, s = session.store.state;
    if (!session.file) this.controls();
    this.used.clear();
    this.showWindow();
    if (layout) {
      const { type } = layout;
      this.fact('of', 'of', noun(session.kind, type.type), `${session.kind}, values in ${type.unit}`);
      this.fact('total', session.narrowed ? 'filtered' : 'total', value(layout.whole, type.unit), `${session.whole(layout)}: ${layout.whole} ${type.unit}`);
      this.fact('samples', 'samples', count(layout.samples), `${layout.samples} samples in what is shown`);
      this.showLost();
      const of = ' of ' + session.whole(layout);
      this.fact('incomplete', 'incomplete', percent(layout.incomplete, layout.whole), 'Stacks that could not be walked to their end:' + of, level(layout.incomplete / layout.whole, 0.02, 0.2));
      this.fact('unnamed', 'unnamed', percent(layout.unnamed, layout.whole), 'Stacks whose innermost frame has no name:' + of, level(layout.unnamed / layout.whole, 0.02, 0.2));
      const folded = (session.summary?.folded.nodes ?? 0) + (layout.live?.foldedNodes ?? 0);
      if (folded) this.fact('folded', 'in (other)', count(folded) + ' paths', 'Call paths that were put into (other), because there are more than a page can hold');
    }
    if (this.status) this.showDaemon(this.status);
    for (const [name, f] of this.made) f.el.hidden = !this.used.has(name);
    this.showLines(s.kind);
  }

  private controls(): void {
    const { session } = this.o, s = session.store.state, now = session.now;
    const live = [60, 15, 240].map((n) => ({ value: `live ${n}`, label: `Live · ${ago(n)}` }));
    const key = isLive(s) ? `live ${s.seconds}` : `${s.from} ${s.to}`;
    const own = isLive(s) || presets.some((p) => `${p.from} ${p.to}` === key) ? [] : [{ value: key, label: rangeLabel(s.from, s.to, now) }];
    setChoices(this.range, [...live, ...own, ...presets.map((p) => ({ value: `${p.from} ${p.to}`, label: p.label })), { value: '?', label: 'Other times…' }], key);
    this.pause.hidden = !session.live;
    press(this.pause, session.paused);
    setText(this.pause, session.paused ? 'Resume' : 'Pause');
  }

  /** What has no stream, because it is read now and then or made of other kinds, is shown of the last minutes. */
  private pickKind(): void {
    const { store } = this.o.session, kind = this.kind.value, of = this.kinds.find((k) => k.name === kind);
    const past = isLive(store.state) && (of?.live === false || of?.made_of);
    store.set({ kind, type: '', zoom: [], ...(past && { from: 'now-5m', to: 'now' }) });
  }

  private pickRange(): void {
    const { session } = this.o, s = session.store.state, { value: v } = this.range;
    const set = (from: string, to: string) => session.store.set({ from, to, selectFrom: 0, selectTo: 0 });
    if (v.startsWith('live ')) return session.store.set({ from: '', to: '', seconds: Number(v.slice(5)), selectFrom: 0, selectTo: 0, view: s.view === 'diff' ? 'flame' : s.view });
    if (v !== '?') { const [from = '', to = ''] = v.split(' '); return set(from, to); }
    const w = session.window() ?? { from: api.instant('now-5m', session.now), to: session.now };
    this.range.blur();
    askRange('From when to when', w.from, w.to, set);
    this.controls();
  }

  private showWindow(): void {
    const { session } = this.o, w = session.window(), { state } = session.client;
    const text = w ? span(w.from, w.to) : session.loading ? 'loading' : session.summary?.title || 'no time known';
    const title = w ? `${new Date(w.from).toISOString()} to ${new Date(w.to).toISOString()}, ${duration((w.to - w.from) * 1e6)}` : '';
    if (!session.live) {
      const seconds = session.summary?.covered?.seconds;
      this.dot(session.loading ? 'wait' : '');
      this.fact('window', '', text + (session.loading ? ', loading' : ''), title);
      if (seconds !== undefined) this.fact('covered', 'covered', duration(seconds * 1e9), 'How much of this time was profiled');
      return;
    }
    const behind = session.behind / 1000, s = session.store.state;
    const { waiting } = session.client;
    const says = session.paused ? `paused, ${ago(behind)} behind` : session.frozen ? `frozen by ${session.heldBy}, ${ago(behind)} behind`
      : waiting ? `no samples for ${ago(waiting / 1000)}` : state.is === 'on' ? 'live' : state.is === 'connecting' ? 'connecting' : state.is === 'off' ? 'stopped' : 'not connected';
    this.dot(session.paused || session.frozen || waiting ? 'wait' : state.is === 'on' ? 'on' : state.is === 'connecting' ? 'wait' : 'off');
    this.fact('window', '', `${says} · ${text}`, `${title}. Live shows the last ${ago(s.seconds)}; it stands still while you point at it.`);
  }

  private dot(state: string): void {
    const name = 'dot';
    this.used.add(name);
    let f = this.made.get(name);
    if (!f) {
      const el = h('i', { class: 'dot', 'aria-hidden': 'true' });
      this.made.set(name, f = { el, label: document.createTextNode(''), value: el });
      this.facts.prepend(el);
    }
    f.el.className = 'dot ' + state;
  }

  private showLost(): void {
    const { session } = this.o, status = this.status?.kinds.find((k) => k.name === session.store.state.kind);
    const since = status ? ` Since the daemon started, of ${count(status.fired)} events: ${reasons(status.lost) || 'none'}.` : '';
    if (session.live) {
      const { fired, lost, missed } = session.lost;
      this.fact('lost', 'lost', percent(lost, fired), `${lost} of ${fired} events of all services while this page watched are in no stack.${since}`, level(lost / fired, 0.001, 0.02));
      if (missed) this.fact('missed', 'missed', `${missed} batches`, 'The stream came faster than it could be named or read; what they had is not shown here, but in the history', 'warn');
      return;
    }
    const c = session.summary?.covered;
    if (c?.lost === undefined) this.fact('lost', 'lost', 'not known', 'The profile does not say how many events were lost');
    else this.fact('lost', 'lost', count(c.lost), `Events of all services in this time that are in no stack.${since}`, c.lost > 0 ? 'warn' : '');
    if (c?.skipped) this.fact('skipped', 'unreadable', `${c.skipped} windows`, 'Parts of the history that could not be read', 'warn');
  }

  private showDaemon(status: Status): void {
    const { overhead: o } = this, memory = status.overhead.rss_bytes + status.overhead.kernel_bytes, { cpus } = status.overhead;
    if (o) {
      const share = cpus ? percent(o.share, cpus) + ` of ${cpus} CPUs` : percent(o.share, 1) + ' of one CPU';
      this.fact('overhead', 'own cost', `${share}, ${bytes(memory)}`, `What the daemon itself took in the last ${ago(o.seconds)}: CPU in the kernel's programs and in its process; ` +
        `memory: ${bytes(status.overhead.rss_bytes)} of its own, ${bytes(status.overhead.kernel_bytes)} of the kernel`);
    }
    for (const p of status.push) {
      const dropped = sum(p.dropped), old = p.last_success ? clock(Date.parse(p.last_success)) : 'never';
      this.fact('push ' + p.target + (p.url ?? ''), 'push ' + visible(p.target), p.last_error ? 'failing' : dropped ? `${count(dropped)} dropped` : p.pushed ? 'ok' : 'waiting',
        visible(`${p.url ?? p.target}: ${p.pushed} profiles pushed, last ${old}; requests: ${reasons(p.requests) || 'none'}; dropped: ${reasons(p.dropped) || 'none'}; ` +
        `${bytes(p.spooled_bytes)} wait on disk${p.last_error ? `; last error: ${p.last_error}` : ''}`), p.last_error ? 'bad' : dropped ? 'warn' : '');
    }
  }

  /** A line for each thing that a reader must know and cannot guess. */
  private showLines(kind: string): void {
    const { session } = this.o, lines: { text: string; bad?: boolean; note?: boolean; act?: [string, () => void] }[] = [], { state } = session.client;
    if (session.error) lines.push({ text: session.error, bad: true, act: session.file ? undefined : ['Try again', () => void session.open()] });
    if (session.live && state.is === 'broken') {
      lines.push({ text: `The live stream broke: ${state.error}. Next attempt in ${ago((state.retryAt - Date.now()) / 1000)}.`, bad: true, act: ['Try now', () => session.client.retry()] });
    }
    if (session.live && session.client.waiting) {
      lines.push({ text: state.is === 'on' ? 'The daemon answers, but has no samples ready: it is busy, most likely with names. What is shown ends where they ended.' : 'The daemon does not answer yet.' });
    }
    if (session.live && state.is === 'refused') {
      lines.push({ text: `Not live: ${state.error}`, act: ['Show the last 5 minutes', () => session.store.set({ from: 'now-5m', to: 'now' })] });
    }
    const st = this.status;
    if (st && !st.ready) lines.push({ text: `Not ready: ${st.waiting || 'starting'}` });
    for (const k of st?.kinds ?? []) {
      if (k.problem && (k.name === kind || k.active)) lines.push({ text: `${kindLabel(k.name)}: ${k.problem}` });
    }
    const not = (st?.kinds ?? []).filter((k) => k.problem && !k.active && k.name !== kind);
    if (not.length) lines.push({ text: 'Not sampled here: ' + not.map((k) => `${kindLabel(k.name)} (${k.problem})`).join('; '), note: true });
    for (const c of st?.counting?.cannot ?? []) lines.push({ text: `Not counted here: ${c.events.join(', ')} (${c.problem})`, note: true });
    if (st?.store?.paused) lines.push({ text: `History is not written: ${st.store.paused}` });
    const key = JSON.stringify(lines.map((l) => l.text));
    if (key === this.linesKey) return;
    this.linesKey = key;
    fill(this.lines, ...lines.map((l) => h('li', { class: l.bad ? 'bad' : l.note ? 'muted' : '', role: 'status' }, h('span', { dir: 'auto' }, visible(l.text)), l.act ? button({ label: l.act[0], run: l.act[1] }) : null)));
  }

  private fact(name: string, label: string, text: string, title: string, state = ''): void {
    this.used.add(name);
    let f = this.made.get(name);
    if (!f) {
      const value = h('b'), node = document.createTextNode('');
      // A tap tells what a pointer would be told by resting.
      const el = h('button', { type: 'button', class: 'fact', onclick: (e: Event) => menuBelow(e, '', [{ label: (e.currentTarget as HTMLElement).title, disabled: true }]) }, node, value);
      el.style.order = String(order.findIndex((o) => name.startsWith(o)) + 1);
      this.facts.append(el);
      this.made.set(name, f = { el, label: node, value });
    }
    if (f.label.data !== label) f.label.data = label;
    setText(f.value, text);
    setTitle(f.el, title);
    const c = 'fact ' + state;
    if (f.el.className !== c) f.el.className = c;
  }
}

function level(share: number, warn: number, bad: number): string {
  return share > bad ? 'bad' : share > warn ? 'warn' : '';
}
