import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { details, heatmap, lists, table } from '../src/engine/answers.ts';
import { Core } from '../src/engine/core.ts';
import { Dictionary } from '../src/engine/dictionary.ts';
import { pathOf } from '../src/engine/engine.ts';
import { doc, folded, pprof, speedscope, svg } from '../src/engine/exports.ts';
import { matches } from '../src/engine/search.ts';
import { defaultView, flag, rootFrame, type Layout, type View } from '../src/engine/types.ts';
import { document, type Stack } from './document.ts';

const core = () => new Core(async (p, names) => matches(p, names));
const view = (v: Partial<View> = {}): View => ({ ...defaultView, ...v });

async function loaded(stacks: Stack[], base?: Stack[]): Promise<Core> {
  const c = core();
  await c.load(document(stacks), base && document(base));
  return c;
}

/** A layout as lines: indented names with total/self. */
function shown(c: Core, l: Layout): string {
  const lines: string[] = [];
  const walk = (e: number, depth: number) => {
    const name = l.frame[e] === rootFrame ? 'all' : c.model.name(l.frame[e]!);
    lines.push(`${' '.repeat(depth)}${name} ${l.total[e]}/${l.self[e]}`);
    const below: number[] = [];
    for (let k = 1; k < l.n; k++) if (l.parent[k] === e) below.push(k);
    below.sort((a, b) => l.x[a]! - l.x[b]!).forEach((k) => walk(k, depth + 1));
  };
  walk(0, 0);
  return lines.join('\n');
}

const simple: Stack[] = [
  { stack: 'main;a;b', value: 3 }, { stack: 'main;a', value: 1 }, { stack: 'main;c', value: 5, thread: 1 }, { stack: 'main;a;a;b', value: 2 },
];

test('a tree by value and by name', async () => {
  const c = await loaded(simple);
  assert.equal(shown(c, await c.layout(view())), 'all 11/0\n main 11/0\n  a 6/1\n   b 3/3\n   a 2/0\n    b 2/2\n  c 5/5');
  const l = await c.layout(view({ order: 'name' }));
  assert.equal(shown(c, l), 'all 11/0\n main 11/0\n  a 6/1\n   a 2/0\n    b 2/2\n   b 3/3\n  c 5/5');
  assert.equal(l.whole, 11);
  assert.equal(l.samples, 4);
});

test('places: children lie within their parent, side by side, sorted within a depth', async () => {
  const c = await loaded(random(2000));
  for (const v of [view(), view({ order: 'name' }), view({ inverted: true }), view({ group: 'thread' })]) {
    const l = await c.layout(v);
    for (let e = 1; e < l.n; e++) {
      const p = l.parent[e]!;
      assert.ok(l.x[e]! >= l.x[p]! - 1e-9 && l.x[e]! + l.w[e]! <= l.x[p]! + l.w[p]! + 1e-9);
      assert.ok(Math.abs(l.w[e]! - l.total[e]! / l.whole) < 1e-9);
    }
    for (let d = 0; d + 1 < l.levels.length; d++) {
      for (let e = l.levels[d]! + 1; e < l.levels[d + 1]!; e++) assert.ok(l.x[e]! >= l.x[e - 1]! + l.w[e - 1]! - 1e-9);
    }
    let self = 0;
    for (const s of l.self) self += s;
    assert.ok(Math.abs(self - l.whole) < 1e-6, 'self adds up to the whole');
  }
});

test('transforms', async () => {
  const c = await loaded(simple);
  const say = async (v: Partial<View>) => shown(c, await c.layout(view(v)));
  assert.equal(await say({ hide: ['^a$'] }), 'all 11/0\n main 11/1\n  b 5/5\n  c 5/5');
  assert.equal(await say({ collapseRecursion: true }), 'all 11/0\n main 11/0\n  a 6/1\n   b 5/5\n  c 5/5');
  assert.equal(await say({ focus: ['b'] }), 'all 5/0\n main 5/0\n  a 5/0\n   b 3/3\n   a 2/0\n    b 2/2');
  assert.equal(await say({ focus: ['b'], focusRoot: true }), 'all 5/0\n b 5/5');
  assert.equal(await say({ focus: ['=c\u001fm'] }), 'all 5/0\n main 5/0\n  c 5/5');
  assert.equal(await say({ foldModules: true }), 'all 11/0\n m 11/11');
  assert.equal(await say({ inverted: true }), 'all 11/0\n b 5/0\n  a 5/0\n   main 3/3\n   a 2/0\n    main 2/2\n c 5/0\n  main 5/5\n a 1/0\n  main 1/1');
  assert.equal(await say({ group: 'thread' }), 'all 11/0\n worker (1) 6/0\n  main 6/0\n   a 6/1\n    b 3/3\n    a 2/0\n     b 2/2\n worker (2) 5/0\n  main 5/0\n   c 5/5');
  await assert.rejects(c.layout(view({ focus: ['('] })), /\(/);
});

test('filters', async () => {
  const c = await loaded([
    { stack: 'a', value: 1, labels: { state: 'sleep', idle: 'true' } }, { stack: 'b', value: 2, labels: { state: 'run' } },
    { stack: 'c', value: 4, incomplete: 'no rule', thread: 1 }, { stack: '[truncated];d', value: 8 },
  ]);
  const whole = async (filter: View['filter']) => (await c.layout(view({ filter }))).whole;
  assert.equal(await whole({}), 15);
  assert.equal(await whole({ labels: ['state=sleep', 'state=run'] }), 3);
  assert.equal(await whole({ labels: ['state=sleep', 'idle=false'] }), 0);
  assert.equal(await whole({ hideLabels: ['idle=true'] }), 14);
  assert.equal(await whole({ complete: true }), 3);
  assert.equal(await whole({ modules: ['m'] }), 15);
  assert.equal(await whole({ modules: ['other'] }), 0);
  const l = await lists(c, view());
  assert.deepEqual(l.threads.map((t) => [t.name, t.value]), [['worker', 11], ['worker', 4]]);
  assert.equal(await whole({ threads: [l.threads[1]!.key] }), 4);
  assert.equal(await whole({ processes: [l.processes[0]!.key] }), 15);
  assert.equal((await lists(c, view({ filter: { threads: [l.threads[1]!.key] } }))).threads.length, 2, 'a list is without its own filter');
  assert.equal((await c.layout(view())).incomplete, 12);
  assert.deepEqual(l.labels.map((x) => x.key).sort(), ['idle=true', 'state=run', 'state=sleep']);
});

test('a difference: one tree, scaled, elided on top', async () => {
  const c = await loaded([{ stack: 'm;a', value: 6 }, { stack: 'm;new', value: 2 }], [{ stack: 'm;a', value: 1 }, { stack: 'm;gone', value: 3 }]);
  const l = await c.layout(view({ diff: 'total', order: 'name' }));
  const at = (name: string) => [...l.frame].findIndex((f) => f !== rootFrame && c.model.name(f) === name);
  assert.equal(l.baseScale, 2);
  assert.deepEqual([l.total[at('a')], l.baseTotal![at('a')], l.flags[at('a')]], [6, 2, 0]);
  assert.deepEqual([l.total[at('gone')], l.baseTotal![at('gone')], l.flags[at('gone')]], [0, 6, flag.elided]);
  assert.equal(l.flags[at('new')], flag.fresh);
  assert.ok(Math.abs(l.w[at('gone')]! - 6 / 14) < 1e-9);
  assert.equal([...(await c.layout(view({ diff: 'none', elided: false }))).frame].some((f) => f !== rootFrame && c.model.name(f) === 'gone'), false);
  const rows = (await table(c, view({ diff: 'total' }), 'diff', 2)).rows.map((r) => [r.name, r.total, r.baseTotal]);
  assert.deepEqual(rows, [['gone', 0, 6], ['a', 6, 2]]);
  assert.equal((await c.layout(view({ diff: 'time' }))).baseScale, 1, 'both took ten seconds');
});

test('a flow is scaled to the same time, a level is not', async () => {
  const scales: number[] = [];
  for (const type of ['alloc_space', 'inuse_space']) {
    const c = core(), side = (ns: number) => ({ ...document([{ stack: 'm;a', value: 6 }]), types: [{ type: 'samples', unit: 'count' }, { type, unit: 'bytes' }], duration_ns: ns });
    await c.load(side(4e9), side(1e9));
    scales.push((await c.layout(view({ diff: 'time' }))).baseScale);
  }
  assert.deepEqual(scales, [4, 1]);
});

test('search counts recursion once and says why it is wrong', async () => {
  const c = await loaded(simple);
  assert.equal((await c.layout(view({ search: 'A' }))).matched, 11, 'main has an a');
  assert.equal((await c.layout(view({ search: '^a$', searchRegexp: true }))).matched, 6);
  const l = await c.layout(view({ search: '(', searchRegexp: true }));
  assert.equal(l.matched, 0);
  assert.match(l.searchError, /\(/);
});

test('table counts recursion once', async () => {
  const t = await table(await loaded(simple), view(), 'total', 100);
  assert.deepEqual(t.rows.map((r) => [r.name, r.self, r.total, r.count]), [['main', 0, 11, 1], ['a', 1, 6, 2], ['b', 5, 5, 2], ['c', 5, 5, 1]]);
});

test('sandwich: totals agree with the table, callers add up', async () => {
  const c = await loaded(random(500));
  const rows = (await table(c, view(), 'total', 50)).rows;
  for (const row of rows) {
    const s = await c.sandwich(view(), c.model.key(row.frame));
    assert.equal(s.callees.whole, row.total);
    assert.equal(s.callers.whole, row.total);
    assert.equal(s.callees.frame[0], row.frame);
  }
  const s = await c.sandwich(view(), 'none');
  assert.deepEqual([s.callees.whole, s.callees.n, s.callers.n], [0, 1, 1]);
});

test('zoom by path, as far as it exists', async () => {
  const c = await loaded(simple);
  const key = (name: string) => `${name}\u001fm`;
  let l = await c.layout(view({ root: [key('main'), key('a')] }));
  assert.deepEqual([c.model.name(l.frame[l.root]!), l.rootMissing], ['a', 0]);
  l = await c.layout(view({ root: [key('main'), key('x'), key('y')] }));
  assert.deepEqual([c.model.name(l.frame[l.root]!), l.rootMissing], ['main', 2]);
  const long = await loaded([{ stack: `${'x'.repeat(70_000)}`, value: 1 }]);
  l = await long.layout(view());
  const name = long.model.key(l.frame[1]!);
  assert.ok(name.length < 200);
  assert.equal((await long.layout(view({ root: [name] }))).root, 1);
});

test('details: lines, threads, both directions', async () => {
  const c = await loaded(simple);
  const d = (await details(c, view(), ['main\u001fm', 'a\u001fm']))!;
  assert.deepEqual([d.self, d.total, d.paths, d.functionTotal], [1, 6, 2, 6]);
  assert.deepEqual(d.lines.map((x) => [x.file, x.line, x.self, x.total]), [['a.c', 10, 1, 6]]);
  assert.deepEqual(d.threads.map((t) => t.value), [6]);
  const i = (await details(c, view({ inverted: true }), ['b\u001fm', 'a\u001fm']))!;
  assert.deepEqual([i.total, i.self], [5, 0]);
  assert.equal(await details(c, view(), ['nobody']), null);
});

test('heatmap of a document, and a slice of it', async () => {
  const c = await loaded([{ stack: 'a', value: 4, times: [[0, 1], [60, 3]] }, { stack: 'b', value: 2, times: [[60, 2]] }]);
  const h = await heatmap(c, view(), 0, 0, 1000);
  assert.deepEqual([h.rows, h.total, h.max, h.cells[0], h.cells[60]], [50, 6, 5, 1, 5]);
  const from = 1_772_600_767_000;
  const l = await c.layout(view({ filter: { from: from + 1200, to: from + 1220 } }));
  assert.equal(shown(c, l), 'all 5/0\n a 3/3\n b 2/2');
  const f = await heatmap(c, view({ focus: ['b'] }), 0, 0, 1000);
  assert.equal(f.total, 2);
});

test('exports say what the view shows', async () => {
  const c = await loaded([...simple, { stack: 'x;<script>"&\u0001', value: 7 }]);
  assert.equal((await folded(c, view({ focus: ['^a$'] }))).trim().split('\n').sort().join('|'), 'main;a 1|main;a;a;b 2|main;a;b 3');
  const s = JSON.parse(await speedscope(c, view()));
  assert.equal(s.profiles[0].endValue, 18);
  const again = core();
  await again.load(await doc(c, view()));
  assert.equal(shown(again, await again.layout(view())), shown(c, await c.layout(view())));
  const drawing = await svg(c, view(), { title: '</svg><script>' });
  assert.ok(!drawing.includes('<script') && !drawing.includes('\u0001'));
  const raw = gunzipSync(await pprof(c, view()));
  assert.ok(raw.includes('<script>') && raw.includes('nanoseconds'));
});

test('documents that lie are refused', async () => {
  const good = document(simple) as unknown as Record<string, Record<string, unknown>>;
  const bad: [string, unknown][] = [
    ['version', 2], ['types', []], ['default', 7], ['nodes', { parent: [-1, 5], frame: [-1, 0] }], ['samples', { node: [99], values: [[1], [1]] }],
    ['strings', 'x'], ['times', { bucket_ms: 20, base: 0, sample: [77], bucket: [0], value: [1] }],
  ];
  for (const [key, value] of bad) await assert.rejects(core().load({ ...good, [key]: value }), Error, key);
  await assert.rejects(core().load('{'));
  await assert.rejects(core().load('null'));
});

/** Stacks of few functions, so that there is recursion; the same each time. */
function random(n: number): Stack[] {
  let seed = 7;
  const next = (k: number) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % 65_536 % k;
  return Array.from({ length: n }, () => ({
    stack: Array.from({ length: 1 + next(8) }, (_, d) => `f${next(3 + d)}`).join(';'), value: 1 + next(9), thread: next(3),
  }));
}

/** A document of n stacks below one function, each with a path of its own. */
function wide(n: number): object {
  const ids = Array.from({ length: n }, (_, i) => i), functions = 500;
  return {
    ...document([]), strings: ['', ...Array.from({ length: functions }, (_, f) => `f${f}`)], frames: { name: Array.from({ length: functions }, (_, f) => f + 1) },
    nodes: { parent: ids.map((i) => (i < 2 ? i - 1 : i % 3 ? i - 1 : 1 + (Math.imul(i, 0x85ebca6b) >>> 7) % (i - 1))), frame: ids.map((i) => (Math.imul(i, 0x9e3779b1) >>> 8) % functions) },
    samples: { node: ids, thread: ids.map((i) => i % 3), values: [ids.map(() => 1), ids.map((i) => i % 17)] },
  };
}

test('of a large tree what nobody can see is left out, and laid out where one looks', async () => {
  const c = core();
  await c.load(wide(300_000));
  const l = await c.layout(view({ search: 'f7' }));
  assert.ok(l.cut && l.n < 250_000 && l.n > 10_000, `${l.n} entries`);
  // Every place of a depth that had an entry still has one near it.
  const all = (await c.grow(view())).tree;
  let widest = 0;
  const shown = new Set([...l.frame].map((f, e) => `${e && l.frame[l.parent[e]!]!} ${f} ${l.total[e]}`));
  for (let i = 1; i < all.n; i++) {
    if (!shown.has(`${all.parent[i] === 0 ? rootFrame : all.fn[all.parent[i]!]} ${all.fn[i]} ${all.total[0][i]}`)) widest = Math.max(widest, all.total[0][i]! / l.whole);
  }
  assert.ok(widest <= l.cut.least, `an entry of ${widest} is missing`);
  assert.equal((await c.layout(view({ search: 'f7' }))).matched, l.matched);
  const deep = l.n - 1;
  const near = await c.layout(view({ seen: [0.2, 0.201] }));
  assert.ok(near.cut!.least < 1e-6 && near.cut!.from < 0.2 && near.cut!.to > 0.201);
  const inside = (m: Layout) => [...m.x].filter((x, e) => x >= 0.2 && x + m.w[e]! <= 0.201).length;
  assert.ok(inside(near) > inside(l) + 20, `closer by there is more to see: ${inside(near)} entries, not ${inside(l)}`);
  const path = pathOf({ ...l, frames: { length: 0, get: (f: number) => c.model.describe(f) } }, deep);
  const zoomed = await c.layout(view({ root: path }));
  assert.equal(zoomed.rootMissing, 0);
  assert.equal(zoomed.total[zoomed.root], l.total[deep]);
});

test('groups are parts of the tree without groups', async () => {
  const c = core();
  await c.load(wide(5000), wide(4000));
  for (const v of [view({ group: 'thread' }), view({ group: 'thread', hide: ['f1'] })]) {
    const one = await c.layout(v);
    const both = await c.layout({ ...v, diff: 'none', elided: false }); // its base is grown the other way
    assert.deepEqual([one.n, one.whole, both.whole], [both.n, both.whole, one.whole]);
    assert.deepEqual([...one.total], [...both.total]);
    assert.ok([...both.baseTotal!].every((b, e) => b <= both.total[e]! + 1e-9));
    const path = pathOf({ ...one, frames: { length: 0, get: (f: number) => c.model.describe(f) } }, one.n - 1);
    assert.equal((await c.layout({ ...v, root: path })).root, one.n - 1);
  }
});

test('functions cross to the page in one piece', async () => {
  const c = await loaded([{ stack: 'main;a', value: 1 }, { stack: 'main;', value: 1 }]);
  const d = new Dictionary(c.epoch);
  d.add(c.news()!);
  assert.equal(c.news(), undefined);
  const more = c.model.synthetic('later \u05d0', 'm', 3);
  d.add(c.news()!);
  assert.equal(d.length, c.model.functions.n);
  for (let f = 0; f < d.length; f++) assert.deepEqual(d.get(f), c.model.describe(f));
  assert.equal(d.get(more).kind, 'Rust');
  assert.equal(d.get(d.length).key, '', 'one that it was not told of');
});
