import { arrange, Names, type Arranged } from './arrange.ts';
import { parcel, type Parcel } from './dictionary.ts';
import { callees, invert, leaves, occurrences } from './invert.ts';
import { LiveBuffer, liveLimits, type LiveLimits } from './live.ts';
import { documents, load } from './load.ts';
import { Model, Samples } from './model.ts';
import { markedNodes, pick, type Clock, type Picked } from './pick.ts';
import { Searcher } from './search.ts';
import { Grower, rootFunction, type Found, type Tree } from './tree.ts';
import type { Description, Frames, Layout, LiveLine, Sandwich, Source, Summary, View } from './types.ts';

/** Of an inverted view, paths that weigh less than this part of it are not followed: a fifth of a pixel. */
const narrowest = 1 / 8000;

/** A view's tree and what it was made of. */
export interface Grown {
  key: string;
  tree: Tree; // forward
  found: Found & { error: string };
  grower: Grower;
  sides: { samples: Samples; picked: Picked; type: number }[];
  scale: number;
  diff: boolean;
  quality?: { incomplete: number; unnamed: number; samples: number };
}

/** What the worker does, without the worker: the data, and what is computed of them. */
export class Core {
  model = new Model();
  sides: Samples[] = [];
  live: LiveBuffer | null = null;
  generation = 0;
  private loads = 0;
  private names = new Names();
  private namesOf = this.model;
  private grown: Grown | null = null;
  private searcher: Searcher;
  private sent = { epoch: -1, n: 0 };

  constructor(match: (pattern: string, names: string[]) => Promise<Uint8Array>, private limits: LiveLimits = liveLimits) {
    this.searcher = new Searcher(match);
  }

  async load(source: Source, base?: Source): Promise<Summary> {
    const docs = [...await documents(source), ...(base === undefined || base === null ? [] : (await documents(base)).slice(0, 1))];
    const model = new Model();
    const sides = docs.slice(0, 2).map((d) => load(model, d));
    this.replace(model, sides, null);
    return this.summary();
  }

  clear(): Summary {
    const live = new LiveBuffer(this.limits);
    this.replace(live.model, [live.samples], live);
    return this.summary();
  }

  append(message: unknown): LiveLine {
    if (!this.live) this.clear();
    const live = this.live!;
    const line = live.append(message);
    this.generation++;
    this.model = live.model;
    this.sides = [live.samples];
    return line;
  }

  keep(ms: number): void {
    if (!this.live) this.clear();
    if (ms > 0) this.live!.keep = ms;
  }

  private replace(model: Model, sides: Samples[], live: LiveBuffer | null): void {
    this.model = model;
    this.sides = sides;
    this.live = live;
    this.grown = null;
    this.generation++;
    this.loads++;
  }

  /** Changes when numbers of functions change their meaning. */
  get epoch(): number { return this.loads * 1_000_000 + (this.live?.epoch ?? 0); }

  get clock(): Clock | null { return this.live?.clock() ?? null; }

  /** Functions that the page was not told of yet. */
  news(): Parcel | undefined {
    if (this.sent.epoch !== this.epoch) this.sent = { epoch: this.epoch, n: 0 };
    const first = this.sent.n, n = this.model.functions.n;
    if (first === n && first > 0) return undefined;
    this.sent.n = n;
    return parcel(this.model, this.epoch, first);
  }

  private summary(): Summary {
    const about: Description = this.sides[0]!.about;
    return { ...about, base: this.sides[1]?.about, nodes: this.model.nodes.n, functions: this.model.functions.n, threads: this.model.threads.length };
  }

  /** The forward tree of a view; the same one again as long as nothing that it depends on changed. */
  async grow(view: View): Promise<Grown> {
    if (!this.sides.length) this.clear();
    const found = await this.searcher.find(this.model, this.epoch, view);
    const { type, filter, focus, focusRoot, hide, collapseRecursion, foldModules, group } = view;
    const diff = view.diff !== 'off' && this.sides.length > 1;
    const keyOf = (by: View['group']) => JSON.stringify([this.generation, type, filter, focus, focusRoot, hide, collapseRecursion, foldModules, by, diff]);
    const key = keyOf(group);
    if (this.grown?.key !== key) {
      const grower = new Grower(this.model, view, found, diff, this.grown?.key === keyOf('none') ? this.grown.grower : undefined);
      const sides = this.sides.slice(0, diff ? 2 : 1).map((samples, i) => {
        const t = samples.type(type);
        const picked = pick(this.model, samples, t, filter, this.clock);
        grower.add(i as 0 | 1, samples, picked);
        return { samples, picked, type: t };
      });
      this.grown = { key, tree: grower.tree.close(), found, grower, sides, scale: 1, diff };
    }
    const g = this.grown;
    g.found = found;
    g.scale = g.diff ? this.scale(view, g) : 1;
    return g;
  }

  private scale(view: View, g: Grown): number {
    if (view.diff === 'total') return g.tree.total[1][0] ? g.tree.total[0][0]! / g.tree.total[1][0]! : 1;
    const [a, b] = g.sides.map((s) => span(s.samples.about)), { samples, type } = g.sides[0]!;
    const level = samples.about.types[type]!.type.startsWith('inuse_'); // what is there at a moment is no more in a longer time
    return view.diff === 'time' && !level && a && b ? a / b : 1;
  }

  async layout(view: View): Promise<Layout> {
    const g = await this.grow(view);
    let tree = g.tree, truncated = 0;
    if (view.inverted) {
      let inverted = this.inverted(g, narrowest);
      const zoomed = view.root.length ? at(inverted.tree, this.resolve(inverted.tree, view.root).node) : 1;
      if (zoomed < 0.5) inverted = this.inverted(g, narrowest * Math.max(zoomed, 1e-4));
      ({ tree, truncated } = inverted);
    }
    return this.finish(view, g, tree, truncated);
  }

  private inverted(g: Grown, part: number) {
    const whole = Math.abs(g.tree.total[0][0]!) + Math.abs(g.tree.total[1][0]!);
    return invert(g.tree, leaves(g.tree), { fn: rootFunction, kind: 12, skip: false }, whole * part);
  }

  async sandwich(view: View, key: string): Promise<Sandwich> {
    const g = await this.grow(view);
    const f = this.byKey(key);
    const starts = occurrences(g.tree, f);
    const kind = starts.node.length ? g.tree.kind.at(starts.node[0]!) : 12;
    const down = callees(g.tree, starts, f, kind);
    const whole = Math.abs(down.total[0][0]!) + Math.abs(down.total[1][0]!);
    const up = invert(g.tree, starts, { fn: f, kind, skip: true }, whole * narrowest);
    const v = { ...view, root: [] };
    return { frame: f, callers: this.finish(v, g, up.tree, up.truncated), callees: this.finish(v, g, down, 0) };
  }

  /** The function that a key names; -1: none. */
  byKey(key: string): number {
    const cut = key.indexOf('\u001f');
    if (!key.includes('\u001e')) {
      const id = (s: string) => this.model.string(s);
      return this.model.functions.find(id(cut < 0 ? key : key.slice(0, cut)), id(cut < 0 ? '' : key.slice(cut + 1)));
    }
    for (let f = 0; f < this.model.functions.n; f++) if (this.model.key(f) === key) return f;
    return -1;
  }

  /** Follows keys from the root as far as there are such nodes. */
  resolve(tree: Tree, path: string[]): { node: number; nodes: number[]; missing: number } {
    let node = 0;
    const nodes = [0];
    for (let i = 0; i < path.length; i++) {
      const f = this.byKey(path[i]!);
      const next = f < 0 ? -1 : tree.nodes.find(node, f);
      if (next < 0) return { node, nodes, missing: path.length - i };
      nodes.push(node = next);
    }
    return { node, nodes, missing: 0 };
  }

  private finish(view: View, g: Grown, tree: Tree, truncated: number): Layout {
    if (this.namesOf !== this.model) {
      this.names = new Names();
      this.namesOf = this.model;
    }
    const root = this.resolve(tree, view.root);
    const { at, ...arranged }: Arranged = arrange(tree, {
      rank: view.order === 'name' ? this.names.of(this.model) : null, scale: g.scale, diff: g.diff, elided: view.elided, search: g.found.search,
      path: root.nodes, seen: view.seen,
    });
    const { samples, picked, type } = g.sides[0]!;
    const live = this.live?.state();
    return {
      ...arranged, ...(g.quality ??= this.quality(g)), frames: null as unknown as Frames, root: at, rootMissing: root.missing,
      whole: tree.total[0][0]!, baseWhole: tree.total[1][0]! * g.scale, baseScale: g.scale, truncated, searchError: g.found.error,
      type: samples.about.types[type]!, from: live && !picked.from ? live.from : picked.from, to: live && !picked.to ? live.to : picked.to,
      durationNs: duration(samples.about, view, live), live, generation: this.generation,
    };
  }

  /** How good the stacks of the new side are. */
  private quality(g: Grown): { incomplete: number; unnamed: number; samples: number } {
    const { samples: s, picked } = g.sides[0]!;
    const { model } = this;
    const count = s.about.types.findIndex((t) => t.unit === 'count');
    const bare = new Int8Array(model.functions.n).fill(-1);
    const out = { incomplete: 0, unnamed: 0, samples: 0 };
    const marked = markedNodes(model);
    for (let i = 0; i < picked.n; i++) {
      const row = picked.row[i]!, node = s.node.at(row), w = picked.weight[i]!;
      if (!g.grower.keeps(node)) continue;
      const own = s.values[g.sides[0]!.type]!.at(row);
      out.samples += count < 0 ? 1 : s.values[count]!.at(row) * (own ? w / own : 1);
      if (s.stack.at(row) !== 0 || marked[node]) out.incomplete += w;
      if (node === 0) continue;
      const f = model.functionOf(model.nodes.b.at(node));
      if (bare[f]! < 0) bare[f] = Number(unnamed(model.name(f)));
      if (bare[f]) out.unnamed += w;
    }
    return out;
  }
}

/** Whether a name is none: module+0xaddress, as profile.FuncOf makes it where there is no symbol. */
function unnamed(name: string): boolean { return name === '' || name === '[unknown]' || /(^|\+)0x[0-9a-f]+$/.test(name); }

function at(t: Tree, node: number): number {
  return (Math.abs(t.total[0][node]!) + Math.abs(t.total[1][node]!)) / (Math.abs(t.total[0][0]!) + Math.abs(t.total[1][0]!) || 1);
}

function span(a: Description): number { return a.durationNs ?? (a.from !== undefined && a.to !== undefined ? (a.to - a.from) * 1e6 : 0); }

function duration(a: Description, view: View, live: { from: number; to: number } | undefined): number {
  const { from, to } = view.filter;
  if (from !== undefined && to !== undefined) return (to - from) * 1e6;
  return live ? (live.to - live.from) * 1e6 : span(a);
}
