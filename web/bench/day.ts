import { heatmap, lists, table } from '../src/engine/answers.ts';
import { Core } from '../src/engine/core.ts';
import { Dictionary } from '../src/engine/dictionary.ts';
import { matches } from '../src/engine/search.ts';
import { defaultView, type View } from '../src/engine/types.ts';
import { start, Stream } from './stream.ts';

// What a page holds that is left open for a day: npm run day [-- HOURS]. A second of the stream after another goes through
// the worker's code and the page's dictionary as fast as they take it, in Node; each minute is drawn, in changing views. It
// prints what is held after each hour, garbage collected, and fails if the second half of the day holds more than the first.

declare const process: { argv: string[]; memoryUsage(): { heapUsed: number; arrayBuffers: number }; exit(code: number): never };
declare const gc: () => void;

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
/** The daemon's side forgets, and tells. */
function reset(): void {
  stream.reset();
  core.append({ type: 'reset' });
}

for (let second = 0; second < hours * 3600; second++) {
  if (stream.full) reset();
  core.append(JSON.stringify(stream.batch(second)));
  if (second % 60 === 59) {
    await draw(core, drawn++, start + (second + 1) * 1000);
    const parcel = core.news();
    if (parcel && parcel.epoch !== dictionary.epoch) dictionary = new Dictionary(parcel.epoch);
    if (parcel) dictionary.add(parcel);
    for (let i = Math.max(0, dictionary.length - 50); i < dictionary.length; i++) dictionary.get(i);
  }
  if (second % 3600 !== 3599) continue;
  reset(); // what this program itself has of the stream is not to be counted
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
