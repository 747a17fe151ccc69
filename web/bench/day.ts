import { heatmap, lists, table } from '../src/engine/answers.ts';
import { Core } from '../src/engine/core.ts';
import { Dictionary } from '../src/engine/dictionary.ts';
import { matches } from '../src/engine/search.ts';
import { defaultView, type View } from '../src/engine/types.ts';

// What a page holds that is left open for a day: npm run day [-- HOURS]. A second of the stream after another goes through
// the worker's code and the page's dictionary as fast as they take it, in Node; each half minute is drawn, in changing views. It
// prints what is held after each hour, garbage collected, and fails if the second half of the day holds more than the first.

declare const process: { argv: string[]; memoryUsage(): { heapUsed: number; arrayBuffers: number }; exit(code: number): never };
declare const gc: () => void;

const start = 1_772_600_767_000, services = 12, hz = 100, dictionaryLimit = 200_000;

/** The daemon's side of the stream: numbers of what was told, all forgotten at a reset. */
class Stream {
  private seed = 12345;
  private strings = new Map<string, number>();
  private frames = new Map<string, number>();
  private nodes = new Map<number, number>(); // by parent * 2^20 + frame
  private threads = new Map<string, number>();
  private news = { strings: [] as string[], frames: [] as number[], nodes: [] as number[], threads: [] as number[] };

  get full(): boolean { return this.nodes.size + this.strings.size > dictionaryLimit; }

  reset(): void { for (const m of [this.strings, this.frames, this.nodes as Map<unknown, number>, this.threads]) m.clear(); }

  private random(n: number): number {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.seed / 2 ** 32 * n);
  }

  private number<K>(map: Map<K, number>, key: K, first: number, tell: () => void): number {
    let id = map.get(key);
    if (id === undefined) {
      map.set(key, (id = map.size + first));
      tell();
    }
    return id;
  }

  private string(s: string): number { return this.number(this.strings, s, 0, () => this.news.strings.push(s)); }

  private frame(name: string, module: string, line: number): number {
    return this.number(this.frames, name + line, 0, () => this.news.frames.push(this.string(name), this.string(module), this.string('native'), this.string(name.slice(0, 20)), line));
  }

  /** A second: stacks mostly of what is there all day, some of what this minute brought, in threads that come and go. */
  batch(second: number): object {
    const minute = Math.floor(second / 60), samples: number[] = [], base = start + second * 1000;
    for (let i = 0; i < hz; i++) {
      const service = this.random(services);
      let node = 0;
      for (let depth = 0, deep = 5 + this.random(35); depth < deep; depth++) {
        const fresh = this.random(40) === 0;
        const name = fresh ? `generated_${minute}_${this.random(20)}` : `service${service}::level${depth}::function_${this.random(1 + (depth >> 2))}`;
        const frame = this.frame(name, `/usr/lib/lib${service}.so`, this.random(3)), parent = node;
        node = this.number(this.nodes, node * 2 ** 20 + frame, 1, () => this.news.nodes.push(parent, frame));
      }
      const pid = this.random(10) === 0 ? 100_000 + second : 100 + service;
      const tid = pid + this.random(4);
      const thread = this.number(this.threads, `${service} ${tid}`, 0, () =>
        this.news.threads.push(this.string(`service-${service}`), this.string('worker'), pid, tid, this.string('')));
      samples.push(node, thread, this.random(50), 1, 10_101_010);
    }
    const message = { type: 'batch', start: base, end: base + 1000, base, ...this.news, samples, fired: (second + 1) * hz, lost: 0, missed: 0 };
    this.news = { strings: [], frames: [], nodes: [], threads: [] };
    return message;
  }
}

const views: Partial<View>[] = [{}, { group: 'thread' }, { search: 'generated' }, { inverted: true }, { search: 'level[12]', searchRegexp: true }, { group: 'service', foldModules: true }];

async function draw(core: Core, turn: number, end: number): Promise<void> {
  const view: View = { ...defaultView, order: 'name', ...views[turn % views.length], filter: { from: end - 60_000, to: end } };
  await core.layout(view);
  if (turn % 7 === 0) await table(core, view, 'self', 1000);
  if (turn % 11 === 0) await lists(core, view);
  if (turn % 13 === 0) await heatmap(core, view, end - 60_000, end, 1000);
}

const hours = Number(process.argv[2] ?? 24), core = new Core(async (p, names) => matches(p, names)), stream = new Stream();
let dictionary = new Dictionary(0), drawn = 0;
const megabytes = (n: number) => +(n / 1e6).toFixed(1), held: number[] = [];
core.clear();
core.keep(300_000);
core.append({ type: 'hello', version: 1, kind: 'cpu', unit: 'nanoseconds', service: '', bucket_ms: 20, time: start });
for (let second = 0; second < hours * 3600; second++) {
  if (stream.full) {
    stream.reset();
    core.append({ type: 'reset' });
  }
  core.append(JSON.stringify(stream.batch(second)));
  if (second % 30 === 29) {
    await draw(core, drawn++, start + (second + 1) * 1000);
    const parcel = core.news();
    if (parcel && parcel.epoch !== dictionary.epoch) dictionary = new Dictionary(parcel.epoch);
    if (parcel) dictionary.add(parcel);
    for (let i = Math.max(0, dictionary.length - 50); i < dictionary.length; i++) dictionary.get(i);
  }
  if (second % 3600 !== 3599) continue;
  gc();
  gc();
  const m = process.memoryUsage(), { nodes, functions, threads } = core.model;
  held.push(m.heapUsed + m.arrayBuffers);
  console.log(JSON.stringify({ hour: held.length, heap_MB: megabytes(m.heapUsed), arrays_MB: megabytes(m.arrayBuffers), nodes: nodes.n, functions: functions.n,
    threads: threads.length, dictionary: dictionary.length }));
}
const most = (list: number[]) => Math.max(...list), half = held.length >> 1;
if (half > 0 && most(held.slice(half)) > 1.2 * most(held.slice(0, half))) {
  console.error('the second half of the day holds more than the first');
  process.exit(1);
}
