import type { Model } from './model.ts';
import type { Tree } from './tree.ts';
import { flag, rootFrame, type Layout, type View } from './types.ts';

/** The parts of a layout that are arrays, and the entry of what is zoomed to (0: it has none). */
export type Arranged = Pick<Layout, 'n' | 'levels' | 'parent' | 'x' | 'w' | 'frame' | 'kind' | 'flags' | 'self' | 'total' |
  'baseSelf' | 'baseTotal' | 'matched' | 'baseMatched' | 'cut'> & { at: number };

/** Nodes from which on what nobody can see is left out, and how many of these fit side by side into what is seen. */
const many = 100_000, across = 1 << 14;

/** The rank of each function by name, then module. Kept from one layout to the next: sorting nearly sorted names is quick. */
export class Names {
  private order: number[] = [];
  private rank = new Int32Array(0);

  of(model: Model): Int32Array {
    const n = model.functions.n;
    if (this.rank.length === n) return this.rank;
    for (let f = this.order.length; f < n; f++) this.order.push(f);
    const name = (f: number) => model.name(f);
    this.order.sort((a, b) => compare(name(a), name(b)) || compare(model.module(a), model.module(b)));
    this.rank = new Int32Array(n);
    this.order.forEach((f, i) => (this.rank[f] = i));
    return this.rank;
  }
}

/** By code units: the same everywhere, and quick. */
export function compare(a: string, b: string): number { return a < b ? -1 : a > b ? 1 : 0; }

/**
 * Gives each node of a tree its place. A node is as wide as what it weighs on the new side; with elided, what only the base
 * has is as wide as it was there, scaled, and comes on top. Nodes without width are left out, and of a large tree, too,
 * those that share with others a small part of a pixel: one stands for all of these. rank of functions decides which child
 * comes first, null: its width. path are the nodes from the root to the
 * one that is zoomed to, which are always there; seen is the part of the width that is looked at, if not that of the last of
 * them.
 */
export function arrange(t: Tree, o: {
  rank: Int32Array | null; scale: number; diff: boolean; elided: boolean; search: Uint8Array | null;
  path: number[]; seen: View['seen'];
}): Arranged {
  const { n, fn } = t;
  const width = widths(t, o), below = new Below(t, width, o.rank);
  const a = new Entries(n > many ? many : n, o.diff);
  const cut = n > many ? window(o.seen?.[0] ?? 0, o.seen?.[1] ?? 1) : null;
  const path = new Set(o.path), zoomed = o.path.at(-1);
  const whole = width[0]! || 1;
  const levels = [0];
  let end = 1, at = 0;
  a.w[0] = 1;
  for (let level = 0, first = 0; first < end; level++) {
    const last = end;
    levels.push(last);
    let cell = -1; // the newest of the narrow cells that has an entry
    for (let e = first; e < last; e++) {
      const i = a.node[e]!;
      fill(a, e, i, t, o);
      let x = a.x[e]!;
      if (i === zoomed) {
        at = e;
        if (cut && !o.seen) Object.assign(cut, window(x, x + a.w[e]!));
      }
      const count = below.sort(i, cut ? Math.min(cut.least, 1 / across) * whole : 0);
      if (end + count > a.parent.length) a.room(Math.min(n, Math.max(end + count, 2 * a.parent.length)));
      const { parent: parents, x: xs, w: ws, node: nodes } = a;
      for (let k = 0; k < count; k++) {
        const child = below.list[k]!;
        const w = width[child]! / whole;
        const least = cut ? (x < cut.to && x + w > cut.from ? cut.least : 1 / across) : 0;
        if (w < least && !path.has(child)) {
          const next = Math.floor((x + w) / least);
          if (next === cell) {
            x += w;
            continue;
          }
          cell = next;
        }
        nodes[end] = child;
        parents[end] = e;
        xs[end] = x;
        ws[end] = w;
        x += w;
        end++;
      }
    }
    first = last;
  }
  a.frame[0] = fn[0]! < 0 ? rootFrame : fn[0]!;
  const { node, ...columns } = a.short(end);
  return { ...columns, n: end, levels: Uint32Array.from(levels), at, cut, ...found(t, o) };
}

/** What is laid out in full: a part of the width, and as much on each side of it. */
function window(from: number, to: number): NonNullable<Layout['cut']> {
  return { from: 2 * from - to, to: 2 * to - from, least: (to - from) / across };
}

/** What a search finds; of nested nodes only the outermost counts. */
function found(t: Tree, { search, scale }: { search: Uint8Array | null; scale: number }): { matched: number; baseMatched: number } {
  const out = { matched: 0, baseMatched: 0 };
  if (!search) return out;
  const { parent, fn } = t, inside = new Uint8Array(t.n);
  for (let i = 0; i < inside.length; i++) {
    const above = i > 0 && inside[parent[i]!]!;
    if (!(inside[i] = Number(above || (fn[i]! >= 0 && search[fn[i]!]))) || above) continue;
    out.matched += t.total[0][i]!;
    out.baseMatched += t.total[1][i]! * scale;
  }
  return out;
}

function fill(a: Entries, e: number, i: number, t: Tree, o: { scale: number; diff: boolean; search: Uint8Array | null }): void {
  const fn = t.fn[i]!, total = t.total[0][i]!;
  a.frame[e] = fn;
  a.kind[e] = t.kind.a[i]!;
  a.self[e] = t.self[0].a[i]!;
  a.total[e] = total;
  let flags = 0;
  if (o.diff) {
    const base = t.total[1][i]! * o.scale;
    a.baseSelf![e] = t.self[1].a[i]! * o.scale;
    a.baseTotal![e] = base;
    if (total === 0) flags |= flag.elided;
    else if (base === 0) flags |= flag.fresh;
  }
  const above = a.flags[a.parent[e]!]! & (flag.matched | flag.under);
  if (above && e > 0) flags |= flag.under;
  if (o.search && fn >= 0 && o.search[fn]) flags |= flag.matched;
  a.flags[e] = flags;
}

function widths(t: Tree, o: { scale: number; diff: boolean; elided: boolean }): Float64Array {
  const own = t.total[0];
  if (!o.diff || !o.elided) return negative(own) ? magnitudes(t) : own;
  const { parent } = t;
  const base = t.total[1], w = new Float64Array(t.n);
  for (let i = t.n - 1; i >= 0; i--) {
    w[i]! += own[i] !== 0 ? Math.abs(t.self[0].a[i]!) : Math.abs(t.self[1].a[i]! * o.scale);
    if (own[i] === 0 && base[i] === 0) w[i] = 0;
    if (i > 0) w[parent[i]!]! += w[i]!;
  }
  return w;
}

function negative(a: Float64Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i]! < 0) return true;
  return false;
}

/** Profiles that are differences already have negative values: what is drawn is how much changed. */
function magnitudes(t: Tree): Float64Array {
  const w = new Float64Array(t.n);
  for (let i = t.n - 1; i >= 0; i--) {
    w[i]! += Math.abs(t.self[0].a[i]!);
    if (i > 0) w[t.parent[i]!]! += w[i]!;
  }
  return w;
}

/** The columns of entries as they come, with the node that each is of. */
class Entries {
  parent!: Uint32Array;
  x!: Float64Array;
  w!: Float64Array;
  node!: Int32Array;
  frame!: Uint32Array;
  kind!: Uint8Array;
  flags!: Uint8Array;
  self!: Float64Array;
  total!: Float64Array;
  baseSelf: Float64Array | undefined;
  baseTotal: Float64Array | undefined;

  constructor(n: number, diff: boolean) {
    this.parent = new Uint32Array(n);
    this.frame = new Uint32Array(n);
    this.node = new Int32Array(n);
    this.kind = new Uint8Array(n);
    this.flags = new Uint8Array(n);
    for (const key of ['x', 'w', 'self', 'total', ...(diff ? ['baseSelf', 'baseTotal'] as const : [])] as const) this[key] = new Float64Array(n);
  }

  /** Makes room for n entries. */
  room(n: number): void {
    for (const [key, old] of Object.entries<Float64Array>(this as object as Record<string, Float64Array>)) {
      const column = new (old.constructor as Float64ArrayConstructor)(n);
      column.set(old);
      Object.assign(this, { [key]: column });
    }
  }

  /** The first n, in arrays that are no longer. */
  short(n: number): Entries {
    const columns = Object.entries<Float64Array>(this as object as Record<string, Float64Array>);
    return n < this.x.length ? Object.fromEntries(columns.map(([key, c]) => [key, c.slice(0, n)])) as unknown as Entries : this;
  }
}

/** Children as they are asked for: only those of what gets an entry are put in order. */
class Below {
  /** The children of the last node that was asked for. */
  list = new Int32Array(64);
  private keys = new Float64Array(64);
  private first: Int32Array;
  private next: Int32Array;

  constructor(private t: Tree, private width: Float64Array, private rank: Int32Array | null) {
    const { n, parent } = t;
    this.first = new Int32Array(n);
    this.next = new Int32Array(n);
    for (let i = n - 1; i > 0; i--) {
      this.next[i] = this.first[parent[i]!]!;
      this.first[parent[i]!] = i;
    }
  }

  /** Puts those children of a node that have a width into list. By width, those below least come last, in no order. */
  sort(node: number, least: number): number {
    const { next, width, rank, t: { fn } } = this;
    let n = 0;
    for (let c = this.first[node]!; c > 0; c = next[c]!) {
      if (!(width[c]! > 0)) continue;
      if (n === this.list.length) this.room();
      if (rank) this.keys[n++] = rank[fn[c]!]! * word + c;
      else this.list[n++] = c;
    }
    if (rank) this.byRank(n);
    else this.byWidth(n, least);
    return n;
  }

  private room(): void {
    const { list, keys } = this;
    this.list = new Int32Array(2 * list.length);
    this.keys = new Float64Array(2 * list.length);
    this.list.set(list);
    this.keys.set(keys);
  }

  private byRank(n: number): void {
    const { keys, list } = this;
    if (n > 1) keys.subarray(0, n).sort();
    for (let k = 0; k < n; k++) list[k] = keys[k]! % word;
  }

  private byWidth(n: number, least: number): void {
    const { list, width, t: { fn } } = this;
    let wide = 0;
    for (let k = 0; k < n; k++) {
      const c = list[k]!;
      if (width[c]! < least) continue;
      list[k] = list[wide]!;
      list[wide++] = c;
    }
    if (wide > 1) list.subarray(0, wide).sort((a, b) => width[b]! - width[a]! || fn[a]! - fn[b]!);
  }
}

/** Of a key in Below: above it a rank, below it a node. */
const word = 2 ** 32;
