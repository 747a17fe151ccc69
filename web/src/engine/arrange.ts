import type { Model } from './model.ts';
import type { Tree } from './tree.ts';
import { flag, rootFrame, type Layout, type View } from './types.ts';

/** The parts of a layout that are arrays, and which entry each node of the tree became (-1: none). */
export type Arranged = Pick<Layout, 'n' | 'levels' | 'parent' | 'x' | 'w' | 'frame' | 'kind' | 'flags' | 'self' | 'total' |
  'baseSelf' | 'baseTotal' | 'matched' | 'baseMatched' | 'cut'> & { entry: Int32Array };

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
 * those that share with others a small part of a pixel: one stands for all of these. path are the nodes from the root to the
 * one that is zoomed to, which are always there; seen is the part of the width that is looked at, if not that of the last of
 * them.
 */
export function arrange(t: Tree, o: {
  order: View['order']; rank: Int32Array; scale: number; diff: boolean; elided: boolean; search: Uint8Array | null;
  path: number[]; seen: View['seen'];
}): Arranged {
  const { n, fn } = t;
  const width = widths(t, o);
  const { start, order } = sorted(t, o.order === 'value' ? width : null, o.rank);
  const count = 1 + order.length;
  const a = {
    n: count, parent: new Uint32Array(count), x: new Float64Array(count), w: new Float64Array(count),
    frame: new Uint32Array(count), kind: new Uint8Array(count), flags: new Uint8Array(count), self: new Float64Array(count),
    total: new Float64Array(count), baseSelf: o.diff ? new Float64Array(count) : undefined,
    baseTotal: o.diff ? new Float64Array(count) : undefined,
  };
  const cut = n > many ? window(o.seen?.[0] ?? 0, o.seen?.[1] ?? 1) : null;
  const path = new Set(o.path), root = o.seen ? -1 : o.path.at(-1);
  const entry = new Int32Array(n).fill(-1), node = new Int32Array(count);
  const whole = width[0]! || 1;
  const { parent: parents, x: xs, w: ws } = a; // the loop runs before anything is compiled: what is looked up in it counts
  const levels = [0];
  entry[0] = 0;
  ws[0] = 1;
  let end = 1;
  for (let level = 0, first = 0; first < end; level++) {
    const last = end;
    levels.push(last);
    let cell = -1; // the newest of the narrow cells that has an entry
    for (let e = first; e < last; e++) {
      const i = node[e]!;
      fill(a, e, i, t, o);
      let x = xs[e]!;
      if (cut && i === root) Object.assign(cut, window(x, x + ws[e]!));
      for (let c = start[i]!, after = start[i + 1]!; c < after; c++) {
        const child = order[c]!;
        const w = width[child]! / whole;
        if (!(w > 0)) continue;
        const least = cut ? (x < cut.to && x + w > cut.from ? cut.least : 1 / across) : 0;
        if (w < least && !path.has(child)) {
          const at = Math.floor((x + w) / least);
          if (at === cell) {
            x += w;
            continue;
          }
          cell = at;
        }
        node[end] = child;
        entry[child] = end;
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
  const short = <T extends Uint32Array | Float64Array | Uint8Array>(x: T) => (end < count ? x.slice(0, end) as T : x);
  return {
    n: end, levels: Uint32Array.from(levels), entry, parent: short(a.parent), x: short(a.x), w: short(a.w), frame: short(a.frame), kind: short(a.kind),
    flags: short(a.flags), self: short(a.self), total: short(a.total), baseSelf: a.baseSelf && short(a.baseSelf),
    baseTotal: a.baseTotal && short(a.baseTotal), cut, ...found(t, o),
  };
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

type Columns = Pick<Arranged, 'parent' | 'frame' | 'kind' | 'flags' | 'self' | 'total' | 'baseSelf' | 'baseTotal'>;

function fill(a: Columns, e: number, i: number, t: Tree, o: { scale: number; diff: boolean; search: Uint8Array | null }): void {
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

/** Children of each node by rank of their function or, where values are given, the heaviest first. In linear time. */
function sorted(t: Tree, value: Float64Array | null, rank: Int32Array): { start: Int32Array; order: Int32Array } {
  const { n, parent, fn } = t;
  let list = new Int32Array(n - 1);
  const place = new Int32Array(rank.length + 1);
  for (let i = 1; i < n; i++) place[rank[fn[i]!]! + 1]!++;
  for (let i = 0; i < rank.length; i++) place[i + 1]! += place[i]!;
  for (let i = 1; i < n; i++) list[place[rank[fn[i]!]!]!++] = i;
  if (value) list = byValue(list, value);
  const start = new Int32Array(n + 1);
  for (let i = 1; i < n; i++) start[parent[i]! + 1]!++;
  for (let i = 0; i < n; i++) start[i + 1]! += start[i]!;
  const next = start.slice(0, n), order = new Int32Array(n - 1);
  for (let k = 0; k < list.length; k++) order[next[parent[list[k]!]!]!++] = list[k]!;
  return { start, order };
}

/** A stable radix sort, the heaviest first. Values that differ by less than a 2^24th count as equal. */
function byValue(list: Int32Array, value: Float64Array): Int32Array<ArrayBuffer> {
  const bits = new Uint32Array(new Float32Array(value).buffer); // of numbers >= 0 these sort like the numbers
  const n = list.length;
  let from = new Int32Array(list), to = new Int32Array(n);
  for (const shift of [0, 11, 22]) {
    const count = new Int32Array(2049);
    for (let k = 0; k < n; k++) count[2048 - ((bits[from[k]!]! >>> shift) & 2047)]!++;
    for (let k = 0; k < 2048; k++) count[k + 1]! += count[k]!;
    for (let k = 0; k < n; k++) to[count[2047 - ((bits[from[k]!]! >>> shift) & 2047)]!++] = from[k]!;
    [from, to] = [to, from];
  }
  return from;
}
