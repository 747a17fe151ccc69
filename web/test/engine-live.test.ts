import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heatmap } from '../src/engine/answers.ts';
import { Core } from '../src/engine/core.ts';
import { matches } from '../src/engine/search.ts';
import { defaultView, rootFrame } from '../src/engine/types.ts';

const start = 1_772_600_767_000;
const hello = { type: 'hello', version: 1, kind: 'cpu', unit: 'nanoseconds', service: '', bucket_ms: 20, time: start };
// docs/api.md's example.
const batch = {
  type: 'batch', start, end: start + 250, base: start,
  strings: ['main', 'nginx', 'native', 'main.c', 'serve', 'worker', ''], frames: [0, 1, 2, 3, 3, 4, 1, 2, 3, 9], nodes: [0, 0, 1, 1],
  threads: [1, 5, 7, 8, 6], samples: [2, 0, 5, 3, 30_000_000], fired: 10, lost: 1, missed: 0,
};

function live(limits = { nodes: 1000, entries: 1000, threads: 100 }): Core {
  const c = new Core(async (p, names) => matches(p, names), limits);
  c.clear();
  c.append(JSON.stringify(hello));
  return c;
}

const names = async (c: Core) => {
  const l = await c.layout({ ...defaultView, order: 'name' });
  return [...l.frame].filter((f) => f !== rootFrame).map((f) => c.model.name(f));
};

test('a batch, increments, a reset, another stream', async () => {
  const c = live();
  c.append(batch);
  c.append({ type: 'batch', start: start + 250, end: start + 500, base: start + 240, samples: [2, 0, 0, 1, 10_000_000, 1, 0, 1, 1, 5], fired: 12, lost: 1, missed: 0 });
  let l = await c.layout(defaultView);
  assert.deepEqual([l.whole, l.samples, l.n, l.live!.fired, l.live!.lost], [40_000_005, 5, 3, 12, 1]);
  assert.deepEqual(await names(c), ['main', 'serve']);
  const h = await heatmap(c, defaultView, start, start + 1000, 1000);
  assert.deepEqual([h.cells[5], h.cells[12], h.cells[13]], [30_000_000, 10_000_000, 5]);
  c.append({ type: 'reset', time: start + 600, fired: 12, lost: 1, missed: 0 });
  c.append({ ...batch, strings: ['other', ...batch.strings.slice(1)], base: start + 600, end: start + 850, fired: 20 });
  assert.deepEqual(await names(c), ['main', 'other', 'serve', 'serve'], 'what was held stays; numbers mean something else');
  c.append({ type: 'end', reason: 'shutdown' });
  assert.equal((await c.layout(defaultView)).live!.ended, 'shutdown');
  c.append(hello);
  c.append({ ...batch, base: start + 900, end: start + 1150, fired: 7 });
  l = await c.layout(defaultView);
  assert.deepEqual([l.live!.fired, l.live!.ended, l.whole], [27, '', 100_000_005]);
  c.append({ ...hello, kind: 'off_cpu' });
  assert.equal((await c.layout(defaultView)).whole, 0, 'another kind begins with nothing');
});

test('further labels: sets that grow by one label, known after a reset and a move', async () => {
  const c = live({ nodes: 4, entries: 1000, threads: 100 });
  const more = { ...batch, strings: [...batch.strings, 'state', 'io', 'idle', 'true'], labels: [0, 7, 8, 1, 9, 10], fired: 30,
    samples: [2, 0, 5, 3, 30, 1, 0, 5, 1, 7, 1, 0, 5, 1, 100], sample_labels: [1, 2, 0] };
  const whole = async (filter: object) => (await c.layout({ ...defaultView, filter })).whole;
  c.append(more);
  assert.deepEqual([await whole({ labels: ['state=io'] }), await whole({ hideLabels: ['idle=true'] }), await whole({})], [37, 130, 137]);
  c.append({ type: 'reset' });
  c.append({ ...more, strings: more.strings.map((s) => (s === 'io' ? 'runqueue' : s)), labels: [0, 7, 8], sample_labels: [1, 0, 0] });
  c.append({ type: 'batch', start: start + 250, end: start + 500, base: start + 240, strings: ['x', 'y', 'z'],
    frames: [11, 1, 2, 3, 1, 12, 1, 2, 3, 2, 13, 1, 2, 3, 3], nodes: [0, 2, 0, 3, 0, 4], samples: [3, 0, 0, 1, 1, 4, 0, 0, 1, 1, 5, 0, 0, 1, 1] }); // too many nodes
  assert.deepEqual([await whole({ labels: ['state=io'] }), await whole({ labels: ['state=runqueue'] }), await whole({ hideLabels: ['idle=true'] })],
    [37, 30, 270]);
});

test('what is older than keep leaves', async () => {
  const c = live();
  c.keep(1000);
  c.append(batch);
  c.append({ type: 'batch', start: start + 2000, end: start + 2250, base: start + 2000, samples: [1, 0, 0, 1, 7], fired: 11, lost: 1, missed: 0 });
  const l = await c.layout(defaultView);
  assert.deepEqual([l.whole, l.live!.samples, l.live!.from], [7, 1, start + 2000]);
});

test('a day is held in bounds, and what is folded is counted', async () => {
  const limits = { nodes: 300, entries: 5000, threads: 50 };
  const c = live(limits);
  c.keep(30_000);
  let strings = 0, frames = 0, nodes = 0, threads = 0, most = 0;
  for (let i = 0; i < 4000; i++) {
    // Each batch has three functions, a path and a thread that nobody saw before, and a hot path.
    const end = start + i * 250;
    const m: Record<string, unknown> = { type: 'batch', start: end - 250, end, base: end - 250, fired: i * 4, lost: 0, missed: 0 };
    if (i % 500 === 0) {
      c.append({ type: 'reset' });
      strings = frames = nodes = threads = 0;
      m.strings = ['hot', 'native', `f${i}a`, `f${i}b`, `f${i}c`];
      m.frames = [0, 0, 1, 0, 0, 2, 0, 1, 0, 1, 3, 0, 1, 0, 1, 4, 0, 1, 0, 1];
      m.nodes = [0, 0, 1, 1, 2, 2, 3, 3];
      [strings, frames, nodes] = [5, 4, 4];
    } else {
      m.strings = [`f${i}a`, `f${i}b`, `f${i}c`];
      m.frames = [0, 1, 2].flatMap((k) => [strings + k, 0, 1, 0, 1]);
      m.nodes = [1, frames, nodes + 1, frames + 1, nodes + 2, frames + 2];
      strings += 3;
      frames += 3;
      nodes += 3;
    }
    m.threads = [0, 0, 1, 1000 + i, 0];
    threads++;
    m.samples = [nodes, threads - 1, 0, 1, 1, 1, threads - 1, 1, 3, 3];
    c.append(m);
    most = Math.max(most, c.model.nodes.n);
  }
  const l = await c.layout(defaultView);
  assert.ok(most <= limits.nodes + 4, `${most} nodes`);
  assert.ok(c.model.strings.length < 2000 && c.model.threads.length <= 51, `${c.model.strings.length} strings, ${c.model.threads.length} threads`);
  assert.equal(l.whole, 120 * 4, 'nothing is lost by folding: thirty seconds of batches');
  assert.ok(l.live!.foldedNodes > 0 && l.live!.foldedValue > 0 && l.live!.foldedValue < l.whole);
  assert.equal(c.model.name(l.frame[1]!), 'hot');
});

test('more entries than may be held leave early, which is counted', async () => {
  const c = live({ nodes: 1000, entries: 10, threads: 10 });
  c.append(batch);
  for (let i = 0; i < 20; i++) c.append({ type: 'batch', start, end: start + 250, base: start, samples: [1, 0, i, 1, 1] });
  const l = await c.layout(defaultView);
  assert.deepEqual([l.live!.samples, l.live!.early], [10, 11]);
});

test('a stream that lies is refused and leaves what is held alone', async () => {
  const c = live();
  c.append(batch);
  assert.throws(() => c.append({ ...batch, strings: [], frames: [], nodes: [], threads: [], samples: [99, 0, 0, 1, 1] }), /node 99/);
  assert.throws(() => c.append('{'));
  assert.equal((await c.layout(defaultView)).whole, 30_000_000);
});
