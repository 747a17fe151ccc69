// What is loaded into the engine, and why: the live stream, a span of the history, two of them to compare, or the documents
// of a file.

import * as api from './api.ts';
import type { Engine, Layout, LiveLine, Summary, View } from './engine/engine.ts';
import { LiveClient } from './live.ts';
import { isDiff, isLive, sourceKeys, type State, type Store } from './state.ts';
import { noun, span } from './units.ts';

/** How much of the stream the engine holds: what the heatmap can go back, and what pausing can keep. */
const held = 300_000;

export interface Window { from: number; to: number }

export class Session {
  summary: Summary | null = null;
  loading = false;
  error = '';
  /** Set by the newest layout: what views and header say "of". */
  shown: Layout | null = null;
  lost = { fired: 0, lost: 0, missed: 0 };
  readonly client: LiveClient;
  private skew = 0;
  private pausedAt = 0;
  private frozenAt = 0;
  private holds = new Set<string>();
  private pauseTimer = 0;
  private sequence = 0;
  private abort: AbortController | null = null;
  private dirty = false;
  private listeners: ((what: 'data' | 'meta') => void)[] = [];

  constructor(readonly engine: Engine, readonly store: Store, readonly file: boolean) {
    this.client = new LiveClient({ since: () => this.since(), line: (text) => this.line(text), open: () => void this.line('{"type":"reset"}'), change: () => this.emit('meta') });
    store.onChange((s, changed) => this.changed(s, changed));
    if (!file) setInterval(() => this.tick(), 1000);
  }

  onChange(l: (what: 'data' | 'meta') => void): void { this.listeners.push(l); }

  get live(): boolean { return !this.file && isLive(this.store.state) && !isDiff(this.store.state); }
  get paused(): boolean { return this.pausedAt > 0; }
  get frozen(): boolean { return this.frozenAt > 0; }
  get diff(): boolean { return this.file ? this.store.state.view === 'diff' && !!this.summary?.base : isDiff(this.store.state); }
  get liveEnd(): number { return this.client.end; }
  /** Unix ms by the daemon's clock, which need not be this machine's. */
  get now(): number { return Date.now() + this.skew; }
  /** How far what is shown is behind, in ms. */
  get behind(): number { return this.live && this.liveEnd ? Math.max(0, this.now - this.end()) : 0; }
  get kind(): string { return this.summary?.kind || this.store.state.kind; }
  get unit(): string { return this.shown?.type.unit ?? this.summary?.types[this.summary.default]?.unit ?? ''; }

  /** Loads what the state says. */
  async open(): Promise<void> {
    const sequence = ++this.sequence;
    this.abort?.abort();
    this.error = '';
    this.shown = null;
    this.release();
    this.client.end = 0;
    if (this.live) return this.openLive(sequence);
    this.client.stop();
    const abort = this.abort = new AbortController();
    this.loading = true;
    this.emit('meta');
    try {
      const [document, base] = await Promise.all(this.requests().map(async (q) => (await api.request(api.address('profile', q), abort.signal)).arrayBuffer()));
      if (sequence !== this.sequence) return;
      const summary = await this.engine.load(document!, base);
      if (sequence !== this.sequence) return;
      this.summary = summary;
    } catch (e) {
      if (sequence !== this.sequence) return;
      this.summary = null;
      this.error = e instanceof Error ? e.message : String(e);
    }
    this.loading = false;
    this.emit('data');
  }

  /** Loads the documents of a file, as the page as a file has them. */
  async openFile(base64: string): Promise<void> {
    this.loading = true;
    try {
      this.summary = await this.engine.load({ base64 });
    } catch (e) {
      this.error = e instanceof Error ? e.message : String(e);
    }
    this.loading = false;
    this.emit('data');
  }

  private async openLive(sequence: number): Promise<void> {
    this.loading = false;
    const summary = await this.engine.clear();
    if (sequence !== this.sequence) return;
    this.lost = { fired: 0, lost: 0, missed: 0 };
    this.summary = summary;
    this.engine.keep(held);
    this.client.start(this.store.state.kind);
    this.emit('data');
  }

  /** The queries of the profile, and of what it is compared with. */
  requests(format = 'stacks'): Record<string, string>[] {
    const s = this.store.state;
    const one = { kind: s.kind, service: s.service, from: s.from || `now-${s.seconds}s`, to: s.to || 'now', format };
    if (!isDiff(s)) return [one];
    return [one, {
      kind: s.baseKind === '*' ? s.kind : s.baseKind, service: s.baseService === '*' ? s.service : s.baseService,
      from: s.baseFrom, to: s.baseTo, format,
    }];
  }

  private changed(s: State, changed: Set<keyof State>): void {
    const diffBegan = changed.has('view') && s.baseTo !== '';
    if (!this.file && (sourceKeys.some((k) => changed.has(k) && !this.sameSource(k)) || diffBegan)) void this.open();
    if (changed.has('selectFrom') || changed.has('selectTo')) this.hold('the selection', s.selectTo > 0);
  }

  /** The stream has all services, so another one needs no other stream; the base matters only where it is compared. */
  private sameSource(key: keyof State): boolean {
    return (key === 'service' && this.live) || (key.startsWith('base') && this.store.state.view !== 'diff');
  }

  /** From when on a stream is wanted: a first one with some of the past, so that the page is not empty; a next one with what was missed. */
  private since(): string {
    return this.liveEnd ? api.seconds(this.liveEnd) : `now-${held / 1000}s`;
  }

  /** The worker reads the lines: the first has minutes of samples, and to parse it here would be felt. */
  private async line(text: string): Promise<LiveLine> {
    const m = await this.engine.append(text);
    if (m.type === 'hello' && m.time) this.skew = m.time - Date.now();
    if (m.fired !== undefined) this.lost = { fired: m.fired, lost: m.lost ?? 0, missed: m.missed ?? 0 };
    if (m.type === 'batch' || m.type === 'hello') this.dirty = true;
    return m;
  }

  private tick(): void {
    if (!this.live || document.hidden) return;
    if (this.dirty && !this.frozen && !this.paused) {
      this.dirty = false;
      this.emit('data');
    } else this.emit('meta');
  }

  // Pausing is asked for; holding is by the way, while something is pointed at.

  pause(on = !this.paused): void {
    clearTimeout(this.pauseTimer);
    if (!this.live || on === this.paused) return;
    this.pausedAt = on ? this.frozenAt || this.liveEnd || this.now : 0;
    // What comes drives out the oldest: before that would be what is shown, the stream ends.
    if (on) this.pauseTimer = window.setTimeout(() => this.client.stop(), held - this.store.state.seconds * 1000 - 10_000);
    else if (this.client.state.is === 'off') return void this.open();
    this.emit('data');
  }

  /** Keeps what is shown as it is while a reason is there. */
  hold(reason: string, on: boolean): void {
    if (!this.live) return;
    if (on) {
      this.holds.add(reason);
      this.frozenAt ||= this.pausedAt || this.liveEnd;
    } else if (this.holds.delete(reason) && this.holds.size === 0) {
      this.frozenAt = 0;
      this.emit('data');
    }
  }

  get heldBy(): string { return [...this.holds].at(-1) ?? ''; }

  private release(): void {
    clearTimeout(this.pauseTimer);
    this.holds.clear();
    this.frozenAt = this.pausedAt = 0;
    this.lost = { fired: 0, lost: 0, missed: 0 };
    if (this.store.state.selectTo > 0 && this.live) this.holds.add('the selection');
  }

  private end(): number { return this.pausedAt || this.frozenAt || this.liveEnd; }

  /** The time that is shown, or null where it is not known. */
  window(): Window | null {
    const s = this.store.state;
    if (s.selectTo > 0) return { from: s.selectFrom, to: s.selectTo };
    if (this.live) return this.liveEnd ? { from: Math.max(this.end() - s.seconds * 1000, this.shown?.live?.from ?? 0), to: this.end() } : null;
    const { from, to } = this.summary ?? {};
    return from && to ? { from, to } : null;
  }

  /** The state as the engine's view on the data. */
  view(): View {
    const s = this.store.state;
    const services = this.live && s.service ? [s.service] : s.services;
    const some = (list: string[]) => (list.length ? list : undefined);
    const limits: Partial<Window> = s.selectTo > 0 ? { from: s.selectFrom, to: s.selectTo }
      : this.live ? { from: this.end() - s.seconds * 1000, to: this.end() } : {};
    return {
      type: this.summary?.types.findIndex((t) => t.type === s.type) ?? -1,
      root: s.zoom,
      filter: {
        threads: some(s.threads), processes: some(s.processes), services: some(services), modules: some(s.modules), labels: some(s.labels),
        hideLabels: s.noIdle ? ['idle=true'] : undefined, complete: s.complete || undefined, ...limits,
      },
      focus: s.focus, focusRoot: s.focusRoot, hide: [...s.hide, ...s.hiddenKinds.map((k) => '~' + k)], collapseRecursion: s.collapse, foldModules: s.fold, group: s.group,
      order: s.order || (this.live && !this.paused ? 'name' : 'value'), inverted: s.inverted,
      diff: this.diff ? s.diff : 'off', elided: s.elided, search: s.search, searchRegexp: s.regexp,
    };
  }

  /** What a percentage is of: "CPU time of nginx, 14:02:10–14:02:40". */
  whole(layout: Layout | null = this.shown): string {
    const s = this.store.state;
    const service = s.service || this.summary?.service || (this.file ? '' : 'all services');
    const w = this.window();
    const parts = [noun(this.kind, layout?.type.type ?? s.type) + (service ? ` of ${service}` : '')];
    if (this.narrowed) parts[0] += ' (filtered)';
    if (w) parts.push(span(w.from, w.to));
    else if (this.summary?.title) parts.push(this.summary.title);
    return parts.join(', ');
  }

  /** Whether filters leave out a part of what was sampled. */
  get narrowed(): boolean {
    const s = this.store.state;
    return [s.threads, s.processes, s.modules, s.services, s.labels, s.focus, s.hiddenKinds].some((l) => l.length > 0) || s.noIdle || s.complete;
  }

  private emit(what: 'data' | 'meta'): void {
    for (const l of this.listeners) l(what);
  }
}
