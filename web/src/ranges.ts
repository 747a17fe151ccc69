// Spans of time that are offered, and how others are asked for.

import * as api from './api.ts';
import { h } from './dom.ts';
import { dialogue } from './popup.ts';
import type { Session } from './session.ts';
import { isLive, type State } from './state.ts';
import { span } from './units.ts';

export interface Range { label: string; from: string; to: string }

export const presets: Range[] = [
  { label: 'Last minute', from: 'now-1m', to: 'now' }, { label: 'Last 5 minutes', from: 'now-5m', to: 'now' },
  { label: 'Last hour', from: 'now-1h', to: 'now' }, { label: 'Last 24 hours', from: 'now-24h', to: 'now' },
];

export function rangeLabel(from: string, to: string, now: number): string {
  const known = presets.find((p) => p.from === from && p.to === to);
  if (known) return known.label;
  const a = api.instant(from, now), b = api.instant(to, now);
  return /^now-/.test(from) && to !== 'now' ? `${from} to ${to}` : Number.isFinite(a) && Number.isFinite(b) ? span(a, b) : `${from} to ${to}`;
}

/** Asks for a span. Times are of this machine's clock; fractions of a second stay as they were unless changed. */
export function askRange(title: string, from: number, to: number, take: (from: string, to: string) => void): void {
  const input = (ms: number) => h('input', { type: 'datetime-local', step: '1', required: true, value: local(ms) });
  const a = input(from), b = input(to);
  const error = h('span', { class: 'more', role: 'alert' });
  const el = h('dialog', { 'aria-label': title });
  const submit = (e: Event) => {
    e.preventDefault();
    const x = new Date(a.value).getTime(), y = new Date(b.value).getTime();
    if (!(x < y)) { error.textContent = 'The end must be after the beginning.'; return; }
    el.close();
    take(api.seconds(x), api.seconds(y));
  };
  el.append(h('h2', {}, title), h('form', { onsubmit: submit },
    h('label', { for: 'range-from' }, 'From'), a, h('label', { for: 'range-to' }, 'To'), b, h('span'), error,
    h('menu', {}, h('button', { type: 'button', onclick: () => el.close() }, 'Cancel'), h('button', { type: 'submit', class: 'primary' }, 'Show'))));
  a.id = 'range-from';
  b.id = 'range-to';
  dialogue(el);
}

function local(ms: number): string {
  const t = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return t.toISOString().slice(0, 19);
}

/** The span that is shown, moved by half its length: -1 earlier, 1 later. */
export function shifted(session: Session, direction: number): Partial<State> | null {
  const s = session.store.state, now = session.now;
  const w = isLive(s) ? session.window() : { from: api.instant(s.from, now), to: api.instant(s.to, now) };
  if (!w || !Number.isFinite(w.from + w.to)) return null;
  const length = w.to - w.from, by = direction * length / 2;
  if (direction > 0 && w.to + by > now) return isLive(s) ? null : { from: api.seconds(now - length), to: api.seconds(now), selectFrom: 0, selectTo: 0 };
  return { from: api.seconds(w.from + by), to: api.seconds(w.to + by), selectFrom: 0, selectTo: 0 };
}

/** Two spans to compare, as times that stay what they are: a link to them shows the same tomorrow. */
export function comparison(which: 'minute' | 'before' | 'hour', session: Session): Partial<State> {
  const now = Math.floor(session.now / 1000) * 1000, w = session.window();
  const one = { view: 'diff' as const, baseKind: '*', baseService: '*', selectFrom: 0, selectTo: 0, zoom: [] };
  const spans = (from: number, to: number, baseFrom: number, baseTo: number) =>
    ({ ...one, from: api.seconds(from), to: api.seconds(to), baseFrom: api.seconds(baseFrom), baseTo: api.seconds(baseTo) });
  if (which === 'minute') return spans(now - 60_000, now, now - 120_000, now - 60_000);
  const from = w?.from ?? now - 60_000, to = w?.to ?? now, length = to - from;
  return which === 'before' ? spans(from, to, from - length, from) : spans(from, to, from - 3600_000, to - 3600_000);
}

/** Both sides change places. */
export function swapped(s: Readonly<State>): Partial<State> | null {
  if (!s.baseTo || isLive(s)) return null;
  const kind = s.baseKind === '*' ? s.kind : s.baseKind, service = s.baseService === '*' ? s.service : s.baseService;
  return {
    from: s.baseFrom, to: s.baseTo, kind, service, baseFrom: s.from, baseTo: s.to,
    baseKind: kind === s.kind ? '*' : s.kind, baseService: service === s.service ? '*' : s.service,
  };
}
