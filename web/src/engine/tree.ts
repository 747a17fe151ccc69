import { Floats, Ints, Pairs } from './columns.ts';
import type { Model, Samples } from './model.ts';
import type { Picked } from './pick.ts';
import { kinds, type View } from './types.ts';

/**
 * A tree of functions with what each weighs, on both sides of a comparison. Node 0 is the root; a parent comes before its
 * children; siblings differ in their function.
 */
export class Tree {
  readonly nodes = new Pairs(); // parent, function
  readonly kind = new Ints();
  readonly self = [new Floats(), new Floats()] as const; // new side, base
  total: [Float64Array, Float64Array] = [new Float64Array(0), new Float64Array(0)];

  /** two: something may be added to the base. */
  constructor(root: number, kind: number, readonly two: boolean) {
    this.child(-1, root, kind);
  }

  get n(): number { return this.nodes.n; }
  reserve(n: number): void { this.nodes.reserve(n); }
  get parent(): Int32Array { return this.nodes.a.a; }
  get fn(): Int32Array { return this.nodes.b.a; }

  child(parent: number, fn: number, kind: number): number {
    const id = this.nodes.intern(parent, fn);
    if (id === this.kind.n) {
      this.kind.push(kind);
      this.room();
    }
    return id;
  }

  /** The same for one that is known to be new. */
  append(parent: number, fn: number, kind: number): number {
    this.nodes.append(parent, fn);
    this.kind.push(kind);
    this.room();
    return this.n - 1;
  }

  /**
   * Appends copies of nodes of another tree below at, each below the one before it: the last first of the rest of path.
   * Returns the last copy; to gets the copy of each.
   */
  copy(at: number, from: Tree, path: Ints, to: Int32Array): number {
    const { nodes: { a: parents, b: fns }, kind } = this, fn = from.fn, kinds = from.kind.a, end = parents.n + path.n;
    this.nodes.loose = true;
    if (end > parents.a.length || end > kind.a.length) for (const c of [parents, fns, kind]) c.reserve(end);
    for (let n = parents.n; n < end; n++) {
      const i = path.a[--path.n]!;
      parents.a[n] = at;
      fns.a[n] = fn[i]!;
      kind.a[n] = kinds[i]!;
      at = to[i] = n;
    }
    parents.n = fns.n = kind.n = end;
    this.room();
    return at;
  }

  /** Each node has a place in self, which is 0 before anything is added. */
  private room(): void {
    const size = this.parent.length, [own, base] = this.self;
    if (own.a.length >= size) return;
    const old = [own.a, base.a];
    own.a = new Float64Array(size);
    base.a = new Float64Array(size);
    own.a.set(old[0]!);
    if (this.two) base.a.set(old[1]!);
  }

  /** Sums up what each node has with all below it. Nothing is added afterwards. */
  close(): this {
    this.total = [this.sum(0), this.two ? this.sum(1) : new Float64Array(this.n)];
    return this;
  }

  private sum(side: 0 | 1): Float64Array {
    const total = this.self[side].a.slice(0, this.n);
    const { parent } = this;
    for (let i = total.length - 1; i > 0; i--) total[parent[i]!]! += total[i]!;
    return total;
  }

  /** Children of node i: order[start[i]] up to order[start[i+1]], in order of their numbers. */
  children(): { start: Int32Array; order: Int32Array } {
    const { n, parent } = this;
    const start = new Int32Array(n + 1);
    for (let i = 1; i < n; i++) start[parent[i]! + 1]!++;
    for (let i = 0; i < n; i++) start[i + 1]! += start[i]!;
    const next = start.slice(0, n), order = new Int32Array(Math.max(0, n - 1));
    for (let i = 1; i < n; i++) order[next[parent[i]!]!++] = i;
    return { start, order };
  }
}

/** Samples by group: groups has the end of each in order, fn the function that stands for it. */
interface Groups { groups: Int32Array; order: Int32Array; fn: number[] }

/** Which functions the patterns of a view find, one byte for each function. */
export interface Found { focus: Uint8Array[]; hide: Uint8Array[]; search: Uint8Array | null }

export const rootFunction = -1;

const process = kinds.indexOf('process');

/**
 * Grows the tree of a view from the model's nodes, each of which goes to one node of the tree or, when what it stands for is
 * not drawn, nowhere.
 */
export class Grower {
  readonly tree: Tree;
  private to: Int32Array; // node of the tree, for the current group
  private stamp: Int32Array; // group for which to is right
  private group = 0;
  private path = new Ints();
  private hidden: Uint8Array | null;
  private kept: Uint8Array | null; // nodes whose stacks pass focus and modules
  private rooted: Uint8Array | null; // nodes at or below the frame at which drawing begins

  /** shape: one that has grown the same view without groups, if there is one. */
  constructor(private model: Model, private view: View, private found: Found, two: boolean, private shape?: Grower) {
    this.tree = new Tree(rootFunction, kinds.indexOf('other'), two);
    this.to = new Int32Array(model.nodes.n);
    this.stamp = new Int32Array(model.nodes.n);
    this.hidden = found.hide.length ? union(found.hide, model.functions.n) : null;
    this.kept = kept(model, view, found.focus);
    this.rooted = view.focusRoot && found.focus.length ? below(model, found.focus.at(-1)!) : null;
  }

  /** Whether stacks that end in a node of the model are in the view. */
  keeps(node: number): boolean { return !this.kept || this.kept[node] === 1; }

  add(side: 0 | 1, s: Samples, picked: Picked): void {
    const self = this.tree.self[side];
    if (this.view.group === 'none') {
      this.begin(0);
      if (picked.n * 2 > this.model.nodes.n) this.tree.reserve(this.model.nodes.n);
      for (let i = 0; i < picked.n; i++) {
        const node = s.node.at(picked.row[i]!);
        if (!this.keeps(node)) continue;
        const at = this.resolve(node); // which may move self.a
        self.a[at]! += picked.weight[i]!;
      }
      return;
    }
    const sorted = this.sort(s, picked);
    if (side === 0 && !this.view.collapseRecursion && !this.view.foldModules) return this.addCopies(s, picked, sorted);
    const { groups, order, fn } = sorted;
    for (let g = 0, i = 0; g < groups.length; g++) {
      if (i < groups[g]!) this.begin(this.tree.child(0, fn[g]!, process));
      for (; i < groups[g]!; i++) {
        const node = s.node.at(picked.row[order[i]!]!);
        if (!this.keeps(node)) continue;
        const at = this.resolve(node);
        self.a[at]! += picked.weight[order[i]!]!;
      }
    }
  }

  /**
   * The same from the tree without groups: each group's is a part of it, so that what is new there need not be sought. The
   * numbers of a group's nodes begin with that of its root.
   */
  private addCopies(s: Samples, picked: Picked, { groups, order, fn }: Groups): void {
    const { tree, path } = this, self = tree.self[0], shape = this.shape ?? new Grower(this.model, { ...this.view, group: 'none' }, this.found, false);
    if (!this.shape) shape.add(0, s, picked);
    const from = shape.tree, parent = from.parent, to = new Int32Array(from.n);
    const places = Int32Array.from(order, (i) => { // all at once: most of the time goes by on the way to memory
      const node = s.node.at(picked.row[i]!);
      return this.keeps(node) ? shape.where(node) : -1;
    });
    for (let g = 0, i = 0; g < groups.length; g++) {
      const root = i < groups[g]! ? to[0] = tree.append(0, fn[g]!, process) : 0;
      for (; i < groups[g]!; i++) {
        let n = places[i]!;
        if (n < 0) continue;
        path.n = 0;
        for (; to[n]! < root; n = parent[n]!) path.push(n);
        const at = path.n > 0 ? tree.copy(to[n]!, from, path, to) : to[n]!;
        self.a[at]! += picked.weight[order[i]!]!;
      }
    }
  }

  /** Where a node of the model went; only right after add, and without groups. -1: nowhere. */
  where(node: number): number { return this.stamp[node] === this.group ? this.to[node]! : -1; }

  private begin(root: number): void {
    this.group++;
    this.to[0] = root;
    this.stamp[0] = this.group;
  }

  private resolve(node: number): number {
    const { to, stamp, group, path } = this;
    const parent = this.model.nodes.a.a;
    path.n = 0;
    while (stamp[node] !== group) {
      path.push(node);
      node = parent[node]!;
    }
    let at = to[node]!;
    while (path.n > 0) {
      const i = path.a[--path.n]!;
      at = to[i] = this.step(at, i);
      stamp[i] = group;
    }
    return at;
  }

  /** The tree's node for a node of the model whose caller went to at. */
  private step(at: number, node: number): number {
    const { model, view, tree } = this;
    const frame = model.nodes.b.a[node]!;
    let fn = model.functionOf(frame);
    if (this.rooted && !this.rooted[node]) return at;
    if (this.hidden?.[fn]) return at;
    if (view.foldModules && model.functions.b.a[fn]! !== 0) fn = this.moduleFunction(fn, model.kindOf(frame));
    if ((view.collapseRecursion || view.foldModules) && tree.fn[at] === fn) return at;
    return tree.child(at, fn, model.kindOf(frame));
  }

  private modules = new Map<number, number>();

  private moduleFunction(fn: number, kind: number): number {
    const module = this.model.functions.b.at(fn);
    let id = this.modules.get(module);
    if (id === undefined) {
      const name = this.model.strings[module]!;
      id = this.model.synthetic(name.slice(name.lastIndexOf('/') + 1) || name, name, kind);
      this.modules.set(module, id);
    }
    return id;
  }

  private sort(s: Samples, picked: Picked): Groups {
    const { model, view } = this;
    const of = new Int32Array(picked.n), fn: number[] = [];
    const ids = new Map<number, number>();
    const threads = model.threads.map((t) => model.synthetic(...groupName(t, view.group), process));
    const unknown = model.synthetic('(unknown)', '', process);
    for (let i = 0; i < picked.n; i++) {
      const row = picked.row[i]!;
      let f = unknown;
      if (view.group === 'module') {
        const node = s.node.at(row);
        const module = node > 0 ? model.module(model.functionOf(model.nodes.b.at(node))) : '';
        if (module) f = model.synthetic(module.slice(module.lastIndexOf('/') + 1) || module, module, process);
      } else if (s.thread.at(row) >= 0) f = threads[s.thread.at(row)]!;
      let g = ids.get(f);
      if (g === undefined) {
        ids.set(f, (g = fn.length));
        fn.push(f);
      }
      of[i] = g;
    }
    const groups = new Int32Array(fn.length);
    for (let i = 0; i < of.length; i++) groups[of[i]!]!++;
    for (let g = 1; g < groups.length; g++) groups[g]! += groups[g - 1]!;
    const order = new Int32Array(picked.n);
    const next = groups.slice();
    for (let i = picked.n - 1; i >= 0; i--) order[--next[of[i]!]!] = i;
    return { groups, order, fn };
  }
}

function groupName(t: { service: string; comm: string; pid: number; tid: number }, group: View['group']): [string, string] {
  if (group === 'service') return [t.service || '(no service)', ''];
  if (group === 'process') return [t.pid ? `${t.service || t.comm} (${t.pid})` : t.service || t.comm || '(unknown)', ''];
  return [t.tid ? `${t.comm} (${t.tid})` : t.comm || '(unknown)', t.service];
}

function union(sets: Uint8Array[], n: number): Uint8Array {
  const all = new Uint8Array(n);
  for (const set of sets) for (let i = 0; i < set.length; i++) all[i]! |= set[i]!;
  return all;
}

/** For each node whether it or a caller is a function of the set. */
function below(model: Model, set: Uint8Array): Uint8Array {
  const n = model.nodes.n, parent = model.nodes.a.a, frame = model.nodes.b.a;
  const out = new Uint8Array(n);
  for (let i = 1; i < n; i++) out[i] = out[parent[i]!]! | set[model.functionOf(frame[i]!)]!;
  return out;
}

/** For each node whether a stack that ends in it has a function of each focus and a frame of the wanted modules; null: all. */
function kept(model: Model, view: View, focus: Uint8Array[]): Uint8Array | null {
  const sets = [...focus];
  if (view.filter.modules?.length) {
    const wanted = new Set(view.filter.modules);
    sets.push(Uint8Array.from({ length: model.functions.n }, (_, f) => Number(wanted.has(model.module(f)))));
  }
  let all: Uint8Array | null = null;
  for (const set of sets) {
    const one = below(model, set);
    if (all) for (let i = 0; i < one.length; i++) all[i]! &= one[i]!;
    else all = one;
  }
  return all;
}
