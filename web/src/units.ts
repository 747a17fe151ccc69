// How values, times and shares are written. Every number says its unit, every share of what.

/** A value in a unit of pprof: "nanoseconds", "bytes", "count" or any other, which is written behind the number. */
export function value(v: number, unit: string): string {
  const sign = v < 0 ? '−' : '';
  const a = Math.abs(v);
  switch (unit) {
    case 'nanoseconds': return sign + duration(a);
    case 'microseconds': return sign + duration(a * 1e3);
    case 'milliseconds': return sign + duration(a * 1e6);
    case 'seconds': return sign + duration(a * 1e9);
    case 'bytes': return sign + bytes(a);
    case 'count': case '': return sign + count(a);
    default: return `${sign}${count(a)} ${unit}`;
  }
}

/** Nanoseconds with three digits. */
export function duration(ns: number): string {
  if (ns === 0) return '0 s';
  if (ns < 1e3) return digits(ns) + ' ns';
  if (ns < 1e6) return digits(ns / 1e3) + ' µs';
  if (ns < 1e9) return digits(ns / 1e6) + ' ms';
  if (ns < 600e9) return digits(ns / 1e9) + ' s';
  if (ns < 7200e9) return digits(ns / 60e9) + ' min';
  return digits(ns / 3600e9) + ' h';
}

export function bytes(n: number): string {
  if (n < 1024) return digits(n) + ' B';
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let i = -1;
  do { n /= 1024; i++; } while (n >= 1023.5 && i < units.length - 1);
  return digits(n) + ' ' + units[i];
}

export function count(n: number): string {
  if (n < 1e4) return Number.isInteger(n) ? String(n) : digits(n);
  if (n < 1e6) return digits(n / 1e3) + ' k';
  if (n < 1e9) return digits(n / 1e6) + ' M';
  return digits(n / 1e9) + ' G';
}

function digits(n: number): string {
  return n >= 100 ? n.toFixed(0) : n >= 10 ? trim(n.toFixed(1)) : trim(n.toFixed(2));
}

function trim(s: string): string {
  return s.includes('.') ? s.replace(/\.?0+$/, '') : s;
}

/** A share as text. What is of nothing has no share. */
export function percent(part: number, whole: number): string {
  if (!(whole > 0)) return '–';
  const p = 100 * part / whole;
  if (p === 0) return '0 %';
  const a = Math.abs(p);
  if (a < 0.01) return (p < 0 ? '−' : '') + '<0.01 %';
  return (p < 0 ? '−' : '') + (a >= 99.95 ? a.toFixed(0) : a >= 10 ? a.toFixed(1) : a.toFixed(2)) + ' %';
}

/** A change, with a sign. */
export function change(now: number, base: number): string {
  if (base === 0) return now === 0 ? '0 %' : 'new';
  if (now === 0) return 'gone';
  const p = 100 * (now - base) / base;
  if (p >= 999.5) return '×' + digits(now / base);
  return (p > 0 ? '+' : p < 0 ? '−' : '') + trim(Math.abs(p).toFixed(Math.abs(p) < 10 || p < -99 ? 1 : 0)) + ' %';
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const dayFormat = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });

/** Unix ms as the time of day here, with the day unless it is today. */
export function clock(ms: number): string {
  const t = new Date(ms);
  const text = clockFormat.format(t);
  return t.toDateString() === new Date().toDateString() ? text : dayFormat.format(t) + ' ' + text;
}

export function span(from: number, to: number): string {
  const end = new Date(from).toDateString() === new Date(to).toDateString() ? clockFormat.format(to) : clock(to);
  return clock(from) + '–' + end;
}

/** Seconds in words: "5 s", "2 min". */
export function ago(seconds: number): string {
  return duration(Math.max(0, Math.round(seconds)) * 1e9);
}

/** What the kind of event is called in a sentence, "of CPU time". */
export function noun(kind: string, type = ''): string {
  if (type === 'samples') return 'samples';
  const known: Record<string, string> = {
    cpu: 'CPU time', off_cpu: 'waiting time', wall: 'wall-clock time', page_faults: 'page faults', cache_misses: 'cache misses',
    alloc_space: 'allocated bytes', alloc_objects: 'allocations', inuse_space: 'live heap bytes', inuse_objects: 'live heap objects',
  };
  return known[type] ?? known[kind] ?? (type || kind || 'the total').replaceAll('_', ' ');
}

/** The name of a kind, for a list. */
export function kindLabel(kind: string): string {
  const known: Record<string, string> = { cpu: 'CPU', off_cpu: 'off-CPU', wall: 'wall clock' };
  return known[kind] ?? kind.replaceAll('_', ' ');
}
