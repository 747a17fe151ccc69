// Everything that decides what the page shows, in one object that the address holds. Views read it, and change it only by
// set(), so that what is seen can be shared and going back works.

export const views = ['flame', 'table', 'sandwich', 'timeline', 'heatmap', 'diff', 'lists', 'services'] as const;
export type ViewName = typeof views[number];

export interface State {
  view: ViewName;
  kind: string;
  service: string; // '': all
  from: string; to: string; // as the API writes times; both '': live
  seconds: number; // of the past that are shown while live
  baseKind: string; baseService: string; // '*': as the other side
  baseFrom: string; baseTo: string; // '': there is no base
  diff: 'time' | 'total' | 'none';
  diffTable: boolean; // the difference as a table
  elided: boolean; // stacks that only the base has are shown
  type: string; // sample type; '': the profile's own
  zoom: string[]; // keys of frames from the root
  threads: string[]; processes: string[]; modules: string[]; services: string[]; labels: string[];
  hiddenKinds: string[]; // of frames
  noIdle: boolean; // waits that are labelled idle=true are left out
  complete: boolean; // only complete stacks
  selectFrom: number; selectTo: number; // Unix ms within what is loaded; 0: all
  focus: string[]; focusRoot: boolean; hide: string[];
  collapse: boolean; fold: boolean; inverted: boolean; icicle: boolean;
  group: 'none' | 'service' | 'process' | 'thread' | 'module';
  order: '' | 'name' | 'value'; // '': by name while live, by value otherwise
  search: string; regexp: boolean;
  sandwich: string; // key of a frame
  list: 'threads' | 'processes' | 'modules' | 'labels';
  sort: 'self' | 'total' | 'name' | 'diff';
}

export const initial: Readonly<State> = Object.freeze({
  view: 'flame', kind: 'cpu', service: '', from: '', to: '', seconds: 60,
  baseKind: '*', baseService: '*', baseFrom: '', baseTo: '', diff: 'time', diffTable: false, elided: true, type: '', zoom: [],
  threads: [], processes: [], modules: [], services: [], labels: [], hiddenKinds: [], noIdle: false, complete: false,
  selectFrom: 0, selectTo: 0, focus: [], focusRoot: false, hide: [], collapse: false, fold: false, inverted: false, icicle: false,
  group: 'none', order: '', search: '', regexp: false, sandwich: '', list: 'threads', sort: 'self',
} satisfies State);

const choices: Partial<Record<keyof State, readonly string[]>> = {
  view: views, diff: ['time', 'total', 'none'], group: ['none', 'service', 'process', 'thread', 'module'],
  order: ['', 'name', 'value'], list: ['threads', 'processes', 'modules', 'labels'], sort: ['self', 'total', 'name', 'diff'],
};

/** The longest address; beyond it the zoom is left out, whose frames may have names of any length. */
const longest = 8000;

export function encode(s: State): string {
  const text = parameters(s);
  return text.length <= longest ? text : parameters({ ...s, zoom: [] });
}

function parameters(s: State): string {
  const p = new URLSearchParams();
  for (const key of Object.keys(initial) as (keyof State)[]) {
    const v = s[key], d = initial[key];
    if (Array.isArray(v)) for (const one of v) p.append(key, one);
    else if (v !== d) p.set(key, typeof v === 'boolean' ? (v ? '1' : '0') : String(v));
  }
  return p.toString();
}

/** Reads an address. What is unknown or not of its kind is left out: an address may be written by hand. */
export function decode(text: string): State {
  const p = new URLSearchParams(text.replace(/^#/, ''));
  const s: Record<string, unknown> = { ...initial };
  for (const key of Object.keys(initial) as (keyof State)[]) {
    if (!p.has(key)) {
      if (Array.isArray(initial[key])) s[key] = [];
      continue;
    }
    const v = p.get(key)!;
    if (Array.isArray(initial[key])) s[key] = p.getAll(key).slice(0, 1000);
    else if (typeof initial[key] === 'boolean') s[key] = v === '1';
    else if (typeof initial[key] === 'number') {
      const n = Number(v);
      if (Number.isFinite(n) && n >= 0) s[key] = n;
    } else if (!choices[key] || choices[key].includes(v)) s[key] = v;
  }
  s.seconds = Math.min(240, Math.max(5, s.seconds as number));
  return s as unknown as State;
}

export type Listener = (s: State, changed: Set<keyof State>) => void;

export class Store {
  private listeners: Listener[] = [];
  private address = '';
  private current: State;

  constructor() {
    this.current = decode(location.hash);
    this.address = encode(this.current);
    addEventListener('popstate', () => this.read());
    addEventListener('hashchange', () => this.read());
  }

  get state(): Readonly<State> { return this.current; }

  onChange(l: Listener): void { this.listeners.push(l); }

  /** Changes the state. With replace the step is none to go back from, as while typing. */
  set(change: Partial<State>, replace = false): void {
    const next = { ...this.current, ...change };
    const changed = differing(this.current, next);
    if (changed.size === 0) return;
    this.current = next;
    this.write(replace);
    for (const l of this.listeners) l(next, changed);
  }

  toggle(key: 'collapse' | 'fold' | 'inverted' | 'icicle' | 'noIdle' | 'complete' | 'focusRoot' | 'regexp' | 'elided'): void {
    this.set({ [key]: !this.current[key] });
  }

  private write(replace: boolean): void {
    const address = encode(this.current);
    if (address === this.address) return;
    this.address = address;
    try {
      history[replace ? 'replaceState' : 'pushState'](null, '', '#' + address);
    } catch {
      // A file from disk may have no right to its own history in some browsers: then the address stays as it is.
    }
  }

  private read(): void {
    const next = decode(location.hash);
    const changed = differing(this.current, next);
    if (changed.size === 0) return;
    this.current = next;
    this.address = encode(next);
    for (const l of this.listeners) l(next, changed);
  }
}

function differing(a: State, b: State): Set<keyof State> {
  const keys = Object.keys(initial) as (keyof State)[];
  return new Set(keys.filter((k) => {
    const x = a[k], y = b[k];
    return Array.isArray(x) && Array.isArray(y) ? x.length !== y.length || x.some((v, i) => v !== y[i]) : x !== y;
  }));
}

/** What decides which data is loaded; everything else is a view on them. */
export const sourceKeys: (keyof State)[] = ['kind', 'service', 'from', 'to', 'baseKind', 'baseService', 'baseFrom', 'baseTo'];

export const isLive = (s: Readonly<State>): boolean => s.from === '' && s.to === '';
/** Two sides are compared in the view of the difference only: going to another view ends it. */
export const isDiff = (s: Readonly<State>): boolean => s.view === 'diff' && s.baseTo !== '';
