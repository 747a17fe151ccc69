import { Tree } from './tree.ts';

/** Where callers are looked for: nodes of a tree and what each counts for. */
export interface Starts { node: Int32Array; weight: Float64Array; base: Float64Array }

export interface Inverted { tree: Tree; truncated: number }

/**
 * Turns the paths from the given nodes outwards into a tree: below its root what is at, or (skip) what calls, the nodes;
 * below that their callers. Paths share work only as far as they are alike, so what weighs less than least is not followed,
 * and stays with what it calls.
 */
export function invert(from: Tree, starts: Starts, root: { fn: number; kind: number; skip: boolean }, least: number): Inverted {
  const tree = new Tree(root.fn, root.kind, from.two);
  const { parent, fn } = from;
  const slot = new Int32Array(maxOf(fn, from.n) + 1).fill(-1);
  let truncated = 0;
  // A queue of the tree's nodes with their paths: where each stands now, and which start it is of.
  let level: { at: number; place: Int32Array; start: Int32Array }[] = [{
    at: 0, place: root.skip ? starts.node.map((n) => parent[n]!) : starts.node, start: Int32Array.from(starts.node, (_, i) => i),
  }];
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { at, place, start } of level) {
      const kids: { fn: number; kind: number; n: number; weight: number; rows: number }[] = [];
      for (let i = 0; i < place.length; i++) {
        const p = place[i]!, s = start[i]!;
        if (p <= 0) { // the path ends here
          tree.self[0].a[at]! += starts.weight[s]!;
          tree.self[1].a[at]! += starts.base[s]!;
          continue;
        }
        const f = fn[p]!;
        let k = slot[f]!;
        if (k < 0) {
          slot[f] = k = kids.length;
          kids.push({ fn: f, kind: from.kind.at(p), n: 0, weight: 0, rows: 0 });
        }
        const kid = kids[k]!;
        kid.n++;
        kid.weight += Math.abs(starts.weight[s]!) + Math.abs(starts.base[s]!);
      }
      const out = kids.map((kid) => {
        if (kid.weight < least) {
          truncated += kid.n;
          return null;
        }
        return { at: tree.child(at, kid.fn, kid.kind), place: new Int32Array(kid.n), start: new Int32Array(kid.n) };
      });
      for (let i = 0; i < place.length; i++) {
        const p = place[i]!, s = start[i]!;
        if (p <= 0) continue;
        const k = slot[fn[p]!]!, kid = out[k]!, row = kids[k]!.rows++;
        if (kid) {
          kid.place[row] = parent[p]!;
          kid.start[row] = s;
        } else {
          tree.self[0].a[at]! += starts.weight[s]!;
          tree.self[1].a[at]! += starts.base[s]!;
        }
      }
      for (const kid of kids) slot[kid.fn] = -1;
      for (const kid of out) if (kid) next.push(kid);
    }
    level = next;
  }
  return { tree: tree.close(), truncated };
}

/** All nodes that have something of their own. */
export function leaves(t: Tree): Starts {
  const list: number[] = [];
  for (let i = 1; i < t.n; i++) if (t.self[0].a[i] !== 0 || t.self[1].a[i] !== 0) list.push(i);
  return starts(list, t.self[0].a, t.self[1].a);
}

/** The outermost nodes of a function, with all below them. */
export function occurrences(t: Tree, f: number): Starts {
  const inside = new Uint8Array(t.n);
  const list: number[] = [];
  for (let i = 1; i < t.n; i++) {
    inside[i] = inside[t.parent[i]!]!;
    if (t.fn[i] === f && !inside[i]) {
      inside[i] = 1;
      list.push(i);
    }
  }
  return starts(list, t.total[0], t.total[1]);
}

function starts(list: number[], weight: Float64Array, base: Float64Array): Starts {
  const n = list.length;
  const out = { node: new Int32Array(n), weight: new Float64Array(n), base: new Float64Array(n) };
  for (let k = 0; k < n; k++) {
    out.node[k] = list[k]!;
    out.weight[k] = weight[list[k]!]!;
    out.base[k] = base[list[k]!]!;
  }
  return out;
}

/** What is below the given nodes, put on top of one another. */
export function callees(t: Tree, starts: Starts, fn: number, kind: number): Tree {
  const out = new Tree(fn, kind, t.two);
  const to = new Int32Array(t.n).fill(-1);
  for (const i of starts.node) to[i] = 0;
  for (let i = 1; i < t.n; i++) {
    if (to[i]! < 0) {
      const p = to[t.parent[i]!]!;
      if (p < 0) continue;
      to[i] = out.child(p, t.fn[i]!, t.kind.at(i));
    }
    out.self[0].a[to[i]!]! += t.self[0].a[i]!;
    out.self[1].a[to[i]!]! += t.self[1].a[i]!;
  }
  return out.close();
}

function maxOf(a: Int32Array, n: number): number {
  let max = 0;
  for (let i = 0; i < n; i++) if (a[i]! > max) max = a[i]!;
  return max;
}
