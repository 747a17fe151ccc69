import { compare } from './arrange.ts';
import type { Core, Grown } from './core.ts';
import { markedNodes, pick } from './pick.ts';
import type { Tree } from './tree.ts';
import { kinds, type Details, type Filter, type Frames, type Heatmap, type Item, type Lists, type Row, type Sort, type Table, type View } from './types.ts';

/** Self and total of functions in a tree; recursion counts once. Index: function. */
export interface Functions { self: Float64Array; total: Float64Array; baseSelf: Float64Array; baseTotal: Float64Array; count: Int32Array }

/** Sums up a tree by function, or by what number of names a function (its module, its kind). */
export function byFunction(t: Tree, n: number, number: (f: number, node: number) => number = (f) => f): Functions {
  const out = {
    self: new Float64Array(n), total: new Float64Array(n), baseSelf: new Float64Array(n), baseTotal: new Float64Array(n), count: new Int32Array(n),
  };
  const { start, order } = t.children();
  const inside = new Int32Array(n); // how often each is on the path
  const stack: number[] = [];
  for (let c = start[1]! - 1; c >= start[0]!; c--) stack.push(order[c]!);
  while (stack.length) {
    const i = stack.pop()!;
    if (i < 0) { // all below ~i is done
      inside[number(t.fn[~i]!, ~i)]!--;
      continue;
    }
    const f = number(t.fn[i]!, i);
    out.self[f]! += t.self[0].a[i]!;
    out.baseSelf[f]! += t.self[1].a[i]!;
    out.count[f]!++;
    if (inside[f]!++ === 0) {
      out.total[f]! += t.total[0][i]!;
      out.baseTotal[f]! += t.total[1][i]!;
    }
    stack.push(~i);
    for (let c = start[i + 1]! - 1; c >= start[i]!; c--) stack.push(order[c]!);
  }
  return out;
}

export async function table(core: Core, view: View, sort: Sort, limit: number): Promise<Table> {
  const g = await core.grow(view);
  const { model } = core;
  const by = byFunction(g.tree, model.functions.n);
  const rows: number[] = [];
  for (let f = 0; f < by.count.length; f++) if (by.count[f]! > 0) rows.push(f);
  const key: Record<Sort, (f: number) => number> = {
    self: (f) => by.self[f]!, total: (f) => by.total[f]!, name: () => 0,
    diff: (f) => Math.abs(by.total[f]! - by.baseTotal[f]! * g.scale), diffSelf: (f) => Math.abs(by.self[f]! - by.baseSelf[f]! * g.scale),
  };
  const value = key[sort] ?? key.self;
  rows.sort((a, b) => value(b) - value(a) || (sort === 'name' ? 0 : by.total[b]! - by.total[a]!) || compare(model.name(a), model.name(b)));
  return {
    functions: rows.length, whole: g.tree.total[0][0]!, baseWhole: g.tree.total[1][0]! * g.scale, frames: null as unknown as Frames,
    type: g.sides[0]!.samples.about.types[g.sides[0]!.type]!,
    rows: rows.slice(0, limit).map((f): Row => ({
      frame: f, name: model.name(f), module: model.module(f), kind: kinds[model.kindOfFunction(f)]!, self: by.self[f]!,
      total: by.total[f]!, count: by.count[f]!, matched: g.found.search?.[f] === 1,
      ...(g.diff && { baseSelf: by.baseSelf[f]! * g.scale, baseTotal: by.baseTotal[f]! * g.scale }),
    })),
  };
}

/** Values by key, as a list. */
class Tally {
  private items = new Map<string, Item>();

  add(key: string, value: number, side: number, name: string, detail = ''): void {
    let item = this.items.get(key);
    if (!item) this.items.set(key, (item = { key, name, detail, value: 0, count: 0 }));
    if (side === 0) item.value += value;
    else item.base = (item.base ?? 0) + value;
    item.count++;
  }

  list(limit = 10_000): Item[] {
    return [...this.items.values()].sort((a, b) => b.value - a.value || (b.base ?? 0) - (a.base ?? 0) || compare(a.name, b.name)).slice(0, limit);
  }
}

export async function lists(core: Core, view: View): Promise<Lists> {
  const g = await core.grow(view);
  const { model } = core;
  /** Counts samples that pass the filter without a part of it. */
  const tally = (without: (keyof Filter)[], add: (t: Tally, row: number, w: number, side: number) => void) => {
    const filter = { ...view.filter };
    for (const key of without) delete filter[key];
    const own = JSON.stringify(filter) === JSON.stringify(view.filter);
    const t = new Tally();
    g.sides.forEach(({ samples, picked, type }, side) => {
      const p = own ? picked : pick(model, samples, type, filter, core.clock);
      const scale = side ? g.scale : 1;
      for (let i = 0; i < p.n; i++) if (g.grower.keeps(samples.node.at(p.row[i]!))) add(t, p.row[i]!, p.weight[i]! * scale, side);
    });
    return t.list();
  };
  const thread = (side: number, row: number) => model.threads[g.sides[side]!.samples.thread.at(row)];
  const heads = new Map<string, string>(); // comm of a process
  for (const t of model.threads) if (!heads.has(t.process) || t.pid === t.tid) heads.set(t.process, t.comm);
  const marked = markedNodes(model);
  const kindOf = byFunction(g.tree, kinds.length, (_, node) => g.tree.kind.at(node));
  return {
    services: tally(['services'], (t, row, w, side) => {
      const s = thread(side, row)?.service ?? '';
      t.add(s, w, side, s);
    }),
    processes: tally(['processes'], (t, row, w, side) => {
      const p = thread(side, row);
      if (p) t.add(p.process, w, side, heads.get(p.process) || p.service, [p.pid || '', p.service, p.container].filter(Boolean).join(' · '));
    }),
    threads: tally(['threads'], (t, row, w, side) => {
      const p = thread(side, row);
      if (p) t.add(p.key, w, side, p.comm, [p.tid || '', p.service, p.container].filter(Boolean).join(' · '));
    }),
    modules: modules(core, g),
    labels: tally(['labels', 'hideLabels'], (t, row, w, side) => {
      for (const l of model.labelSets[g.sides[side]!.samples.label.at(row)] ?? []) {
        const { text, key, value } = model.labels[l]!;
        t.add(text, w, side, value, key);
      }
    }),
    kinds: kinds.map((name, k) => ({
      key: name, name, detail: '', value: kindOf.self[k]!, count: kindOf.count[k]!, ...(g.diff && { base: kindOf.baseSelf[k]! * g.scale }),
    })).filter((k) => k.count > 0).sort((a, b) => b.value - a.value),
    incomplete: tally([], (t, row, w, side) => {
      const s = g.sides[side]!.samples, node = s.node.at(row);
      if (s.stack.at(row) !== 0) return t.add(model.strings[s.stack.at(row)]!, w, side, model.strings[s.stack.at(row)]!);
      if (marked[node]) t.add('marker', w, side, 'the stack ends in a marker');
    }),
    whole: g.tree.total[0][0]!,
  };
}

function modules(core: Core, g: Grown): Item[] {
  const { model } = core;
  const by = byFunction(g.tree, model.strings.length, (f) => model.functions.b.at(f));
  const items: Item[] = [];
  for (let m = 0; m < by.count.length; m++) {
    if (by.count[m] === 0) continue;
    const key = model.strings[m]!;
    items.push({
      key, name: key.slice(key.lastIndexOf('/') + 1) || key, detail: key, value: by.total[m]!, count: by.count[m]!,
      ...(g.diff && { base: by.baseTotal[m]! * g.scale }),
    });
  }
  return items.sort((a, b) => b.value - a.value || compare(a.key, b.key));
}

const maxCells = 4_000_000;

export async function heatmap(core: Core, view: View, from: number, to: number, columnMs: number): Promise<Heatmap> {
  const filter = { ...view.filter };
  delete filter.from;
  delete filter.to;
  const g = await core.grow({ ...view, filter, diff: 'off' });
  const { samples: s } = g.sides[0]!;
  const clock = core.clock ?? s.times ?? { base: 0, bucketMs: 20 };
  const live = core.live?.state();
  const known = { from: live?.from ?? s.about.from ?? clock.base, to: live?.to ?? s.about.to ?? clock.base };
  if (s.times && s.about.to === undefined) {
    for (let i = 0; i < s.times.bucket.n; i++) known.to = Math.max(known.to, clock.base + (s.times.bucket.at(i) + 1) * clock.bucketMs);
  }
  if (!from && !to) ({ from, to } = known);
  columnMs = Math.max(clock.bucketMs, Math.round(columnMs / clock.bucketMs) * clock.bucketMs || 1000);
  const rows = Math.max(1, Math.round(columnMs / clock.bucketMs));
  from = Math.floor(from / columnMs) * columnMs;
  const columns = Math.max(0, Math.min(Math.ceil((to - from) / columnMs), Math.floor(maxCells / rows)));
  const cells = new Float32Array(columns * rows);
  let total = 0, max = 0;
  const put = (bucket: number, w: number) => {
    const at = Math.floor((clock.base + bucket * clock.bucketMs - from) / clock.bucketMs);
    if (at < 0 || at >= cells.length) return;
    cells[at]! += w;
    total += w;
    if (cells[at]! > max) max = cells[at]!;
  };
  // Times are of the default type; everything live has a time.
  if (core.live) {
    const { picked } = g.sides[0]!;
    for (let i = 0; i < picked.n; i++) if (g.grower.keeps(s.node.at(picked.row[i]!))) put(s.bucket.at(picked.row[i]!), picked.weight[i]!);
  } else if (s.times) {
    const pass = new Uint8Array(s.n);
    const { picked } = g.sides[0]!;
    for (let i = 0; i < picked.n; i++) pass[picked.row[i]!] = Number(g.grower.keeps(s.node.at(picked.row[i]!)));
    for (let i = 0; i < s.times.sample.n; i++) if (pass[s.times.sample.at(i)]) put(s.times.bucket.at(i), s.times.value.at(i));
  }
  const type = core.live ? g.sides[0]!.type : s.about.default;
  return { from, columnMs, columns, rows, bucketMs: clock.bucketMs, cells, max, total, known, type: s.about.types[type]! };
}

export async function details(core: Core, view: View, path: string[]): Promise<Details | null> {
  const g = await core.grow({ ...view, group: view.group });
  const { model } = core;
  const t = g.tree;
  const functions = path.map((key) => core.byKey(key));
  if (!functions.length || functions.some((f) => f < 0)) return null;
  const last = functions.at(-1)!;
  const by = byFunction(t, model.functions.n);
  const nodes = view.inverted ? invertedNodes(t, functions) : forwardNodes(t, functions);
  if (!nodes) return null;
  const d: Details = {
    path: functions.map((f) => model.describe(f)), self: 0, total: 0, baseSelf: 0, baseTotal: 0, whole: t.total[0][0]!,
    baseWhole: t.total[1][0]! * g.scale, paths: by.count[last]!, functionSelf: by.self[last]!, functionTotal: by.total[last]!, lines: [], threads: [],
  };
  for (const [at, leaf] of nodes) {
    d.total += leaf < 0 ? t.total[0][at]! : t.self[0].a[leaf]!;
    d.baseTotal += (leaf < 0 ? t.total[1][at]! : t.self[1].a[leaf]!) * g.scale;
    if (leaf >= 0 && t.parent[at] !== 0) continue; // inverted: its own are stacks that begin here
    d.self += leaf < 0 ? t.self[0].a[at]! : t.self[0].a[leaf]!;
    d.baseSelf += (leaf < 0 ? t.self[1].a[at]! : t.self[1].a[leaf]!) * g.scale;
  }
  if (view.group === 'none' && !view.inverted) own(core, g, nodes[0]![0], last, d);
  return d;
}

function forwardNodes(t: Tree, functions: number[]): [number, number][] | null {
  let node = 0;
  for (const f of functions) if ((node = t.nodes.find(node, f)) < 0) return null;
  return [[node, -1]];
}

/** The nodes at which paths from leaves outwards have gone through all functions, each with its leaf. */
function invertedNodes(t: Tree, functions: number[]): [number, number][] | null {
  const out: [number, number][] = [];
  for (let leaf = 1; leaf < t.n; leaf++) {
    if (t.self[0].a[leaf] === 0 && t.self[1].a[leaf] === 0) continue;
    let at = leaf, i = 0;
    while (at > 0 && t.fn[at] === functions[i]) {
      if (++i === functions.length) break;
      at = t.parent[at]!;
    }
    if (i === functions.length) out.push([at, leaf]);
  }
  return out.length ? out : null;
}

/** Lines of a node's function and threads of its samples, from the model's nodes that went to it. */
function own(core: Core, g: Grown, node: number, f: number, d: Details): void {
  const { model } = core;
  const { samples: s, picked } = g.sides[0]!;
  const lines = new Map<number, { file: string; line: number; self: number; total: number }>();
  const threads = new Tally();
  const at = new Int32Array(model.nodes.n).fill(-2); // the node of the model at which a stack is in the node; -1: in none
  for (let i = 1; i < at.length; i++) {
    const here = g.grower.where(i) === node && model.functionOf(model.nodes.b.at(i)) === f;
    at[i] = here ? i : Math.max(-1, at[model.nodes.a.at(i)]!);
  }
  for (let i = 0; i < picked.n; i++) {
    const row = picked.row[i]!, leaf = s.node.at(row), w = picked.weight[i]!;
    const in_ = at[leaf]!;
    if (in_ < 0 || !g.grower.keeps(leaf)) continue;
    const frame = model.nodes.b.at(in_);
    const file = model.fileOf(frame), line = model.lineOf(frame);
    const key = file * 0x200000 + (line & 0x1fffff);
    let l = lines.get(key);
    if (!l) lines.set(key, (l = { file: model.strings[file]!, line, self: 0, total: 0 }));
    l.total += w;
    if (g.grower.where(leaf) === node) l.self += w;
    const t = model.threads[s.thread.at(row)];
    if (t) threads.add(t.key, w, 0, t.comm, [t.tid || '', t.service].filter(Boolean).join(' · '));
  }
  d.lines = [...lines.values()].filter((l) => l.file || l.line).sort((a, b) => b.total - a.total).slice(0, 100);
  d.threads = threads.list(20);
}
