import { Engine, type Layout, type View, defaultView } from '../src/engine/engine.ts';
import { FlameChart } from '../src/flame/flame.ts';
import { Stream, start as dawn } from './stream.ts';
import { synthetic } from './synthetic.ts';

// What run.mjs serves: measures the engine and the chart for each number of nodes and sends back what it found.

interface Spread { p50: number; p95: number; max: number }

function spread(ms: number[]): Spread {
  const s = ms.slice().sort((a, b) => a - b);
  const at = (q: number) => +s[Math.min(s.length - 1, Math.floor(q * s.length))]!.toFixed(2);
  return { p50: at(0.5), p95: at(0.95), max: at(1) };
}

async function timed<T>(f: () => Promise<T>): Promise<[number, T]> {
  const begin = performance.now();
  const value = await f();
  return [+(performance.now() - begin).toFixed(1), value];
}

/** Longest time in which the main thread could not do anything, while f runs. */
async function blocked(f: () => Promise<unknown>): Promise<number> {
  let last = performance.now(), worst = 0, done = false;
  const channel = new MessageChannel();
  channel.port1.onmessage = () => {
    const now = performance.now();
    worst = Math.max(worst, now - last);
    last = now;
    if (!done) channel.port2.postMessage(0);
  };
  channel.port2.postMessage(0);
  await f();
  await new Promise((r) => setTimeout(r, 30));
  done = true;
  return +worst.toFixed(1);
}

/** Collects garbage: run.mjs has the browser offer it. */
function collect(): void { (globalThis as unknown as { gc(): void }).gc(); }

/** Draws and waits until the picture is made: reading a pixel forces what the browser would do later. */
function draw(chart: FlameChart): number {
  const begin = performance.now();
  chart.paint();
  chart.canvas.getContext('2d')!.getImageData(5, 5, 1, 1);
  return performance.now() - begin;
}

async function measure(nodes: number, worker: string): Promise<object> {
  const engine = new Engine(worker);
  const text = new TextEncoder().encode(JSON.stringify(synthetic(nodes))).buffer as ArrayBuffer;
  const [load] = await timed(() => engine.load(text));
  const view: View = { ...defaultView };
  const [first, layout] = await timed(() => engine.layout(view));
  const again: number[] = [], other: Record<string, number> = {};
  for (let i = 0; i < 5; i++) again.push((await timed(() => engine.layout({ ...view, order: i % 2 ? 'value' : 'name' })))[0]);
  // Each as from what was drawn before: threads from the view that the page opens with.
  for (const [name, v] of Object.entries<Partial<View>>({ thread: { group: 'thread' }, search: { search: 'function_77' }, regexp: { search: 'function_[78]7+', searchRegexp: true },
    inverted: { inverted: true }, collapse: { collapseRecursion: true }, fold: { foldModules: true } })) {
    other[name] = (await timed(() => engine.layout({ ...view, ...v })))[0];
  }
  other.table = (await timed(() => engine.table(view, 'self', 200)))[0];
  other.sandwich = (await timed(() => engine.sandwich(view, engine.frame(0).key)))[0];
  other.lists = (await timed(() => engine.lists(view)))[0];

  const host = document.createElement('div');
  host.style.cssText = 'position:fixed;inset:0';
  document.body.append(host);
  const chart = new FlameChart(host, { theme: 'light', onZoom() {}, onHover() {}, onSelect() {}, onContext() {} });
  chart.set(layout as Layout, { search: '' });
  await new Promise((r) => requestAnimationFrame(r));
  const still: number[] = [], zoom: number[] = [], pan: number[] = [];
  for (let i = 0; i < 60; i++) still.push(draw(chart));
  for (let i = 0; i < 120; i++) {
    chart.zoom(i < 60 ? 0.93 : 1 / 0.93, 600 + (i % 7) * 40);
    zoom.push(draw(chart));
  }
  chart.zoom(0.3, 700);
  for (let i = 0; i < 120; i++) {
    chart.pan(i % 60 < 30 ? 11 : -11, i % 20 < 10 ? 7 : -7);
    pan.push(draw(chart));
  }
  chart.zoom(0.001, 700); // as far as that something is missing
  const [detail] = await timed(async () => chart.set((await engine.layout({ ...view, seen: chart.seen }))!));
  for (let i = 0; i < 60; i++) {
    chart.pan(i % 60 < 30 ? 11 : -11, 0);
    pan.push(draw(chart));
  }
  const block = await blocked(async () => {
    for (let i = 0; i < 3; i++) {
      const l = await engine.layout({ ...view, order: i % 2 ? 'value' : 'name' });
      if (l) chart.set(l);
    }
  });
  host.remove();
  const memory = (performance as unknown as { memory?: { usedJSHeapSize: number } }).memory;
  const result = {
    nodes, entries: (layout as Layout).n, detail_ms: detail, levels: (layout as Layout).levels.length - 1, load_ms: load, first_layout_ms: first, layout_ms: spread(again), other_ms: other,
    draw_still_ms: spread(still), draw_zoom_ms: spread(zoom), draw_pan_ms: spread(pan), main_thread_blocked_ms: block,
    page_heap_MB: memory && Math.round(memory.usedJSHeapSize / 1e6),
  };
  engine.close();
  return result;
}

/** A live stream at four batches a second's worth of messages, with a layout after each fourth, while the page draws. */
async function live(worker: string): Promise<object> {
  const engine = new Engine(worker);
  await engine.clear();
  engine.keep(60_000);
  const doc = synthetic(100_000) as { strings: string[]; frames: Record<string, number[]>; nodes: Record<string, number[]> };
  const start = 1_772_600_767_000;
  void engine.append({ type: 'hello', version: 1, kind: 'cpu', unit: 'nanoseconds', service: '', bucket_ms: 20, time: start });
  const host = document.createElement('div');
  host.style.cssText = 'position:fixed;inset:0';
  document.body.append(host);
  const chart = new FlameChart(host, { theme: 'light', onZoom() {}, onHover() {}, onSelect() {}, onContext() {} });
  collect(); // what making the tree left
  await new Promise((r) => setTimeout(r, 100)); // a page waits longer for its first data
  let node = 1, frame = 0;
  const ms: number[] = [], blocks: number[] = [];
  for (let second = 0; second < 20; second++) {
    for (let quarter = 0; quarter < 4; quarter++) {
      const base = start + second * 1000 + quarter * 250, samples: number[] = [], nodes: number[] = [], frames: number[] = [];
      for (let i = 0; i < 1250 && node < 100_000; i++, node++) {
        const f = doc.nodes.frame![node]!;
        while (frame <= f && frame < doc.frames.name!.length) {
          frames.push(doc.frames.name![frame]!, doc.frames.module![frame]!, 1, 0, doc.frames.line![frame]!);
          frame++;
        }
        nodes.push(doc.nodes.parent![node]!, f);
        samples.push(node, 0, i % 12, 1, 10_101_010);
      }
      void engine.append(JSON.stringify({ type: 'batch', start: base, end: base + 250, base, strings: second + quarter ? [] : doc.strings, frames, nodes,
        threads: second + quarter ? [] : [2, 1, 1, 1, 0], samples, fired: node, lost: 0, missed: 0 }));
    }
    blocks.push(await blocked(async () => {
      const [t, l] = await timed(() => engine.layout({ ...defaultView, order: 'name' }));
      ms.push(t);
      if (l) chart.set(l);
      await new Promise((r) => requestAnimationFrame(r));
    }));
  }
  host.remove();
  engine.close();
  return { live: 'growing to 100,000 nodes in 20 updates', layout_ms: spread(ms), main_thread_blocked_ms: spread(blocks), each: blocks };
}

/** A live stream at fifty times its speed, drawn four times a second: what the page itself holds, collected, while it goes on. */
async function soak(worker: string, seconds: number): Promise<object> {
  const engine = new Engine(worker), stream = new Stream(), heap: number[] = [];
  await engine.clear();
  engine.keep(300_000);
  void engine.append({ type: 'hello', version: 1, kind: 'cpu', unit: 'nanoseconds', service: '', bucket_ms: 20, time: dawn });
  const host = document.createElement('div');
  host.style.cssText = 'position:fixed;inset:0';
  document.body.append(host);
  const chart = new FlameChart(host, { theme: 'light', onZoom() {}, onHover() {}, onSelect() {}, onContext() {} });
  const begin = performance.now(), blocks: number[] = [];
  let second = 0;
  for (let elapsed = 0; elapsed < seconds; elapsed = (performance.now() - begin) / 1000) {
    let appended: Promise<unknown> = Promise.resolve();
    for (const due = elapsed * 50; second < due; second++) {
      if (stream.full) {
        stream.reset();
        void engine.append({ type: 'reset' });
      }
      appended = engine.append(JSON.stringify(stream.batch(second)));
    }
    await appended;
    const end = dawn + second * 1000;
    blocks.push(await blocked(async () => {
      const l = await engine.layout({ ...defaultView, order: 'name', filter: { from: end - 60_000, to: end } });
      if (l) chart.set(l);
      await new Promise((r) => setTimeout(r, 250));
    }));
    if (heap.length > elapsed / 10) continue;
    collect();
    heap.push(+((performance as unknown as { memory: { usedJSHeapSize: number } }).memory.usedJSHeapSize / 1e6).toFixed(1)); // asked for anew: it is a snapshot
  }
  host.remove();
  engine.close();
  return { soak: `${second} s of the stream in ${seconds} s`, page_heap_MB_each_10_s: heap, main_thread_blocked_ms: spread(blocks) };
}

const worker = document.querySelector('meta[name=worker]')!.getAttribute('content')!;
const asked = new URLSearchParams(location.search), sizes = asked.get('nodes')!.split(',').map(Number).filter((n) => n > 0);
const send = (value: object) => fetch('/result', { method: 'POST', body: JSON.stringify(value) });
for (const nodes of sizes) await send(await measure(nodes, worker));
if (sizes.length) await send(await live(worker));
if (asked.get('soak')) await send(await soak(worker, Number(asked.get('soak'))));
await send({ done: true });
