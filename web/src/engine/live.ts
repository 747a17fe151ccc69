import { Ints } from './columns.ts';
import { kindNumber } from './load.ts';
import { Model, Samples } from './model.ts';
import type { Live, LiveLine } from './types.ts';

/** Bounds of what is held: call paths, and entries (36 bytes each). */
export interface LiveLimits { nodes: number; entries: number; threads: number }

/** What one sample may say of itself: a daemon says four things at most. */
const mostLabels = 16;

export const liveLimits: LiveLimits = { nodes: 200_000, entries: 1_000_000, threads: 20_000 };

/** The stream's own numbers (docs/api.md). What they stand for enters the model when a sample needs it. */
class Numbers {
  strings: string[] = [];
  frames = new Ints(); // groups of five
  parents = new Ints(); // of node i + 1
  nodeFrames = new Ints();
  threads = new Ints(); // groups of five
  /** Sets of further labels, root first; set 0 is empty. */
  sets: { key: string; value: string }[][] = [[]];
  // Numbers in the model, -1 where there is none yet.
  frame = new Ints();
  node = new Ints();
  thread = new Ints();
  set = new Ints();

  /** Forgets what the model called things, because there is another model. */
  unbind(): void {
    this.frame.a.fill(-1);
    this.node.a.fill(-1, 1);
    this.thread.a.fill(-1);
    this.set.a.fill(-1);
  }

  constructor() {
    this.node.push(0);
    this.set.push(-1);
  }
}

/** The live buffer: the samples of the last keep milliseconds, from the lines of one or more streams after one another. */
export class LiveBuffer {
  model = new Model();
  samples = emptySamples('', '');
  /** Changes when numbers of the model change their meaning. */
  epoch = 0;
  keep = 60_000;
  private numbers = new Numbers();
  private origin = 0; // Unix ms of bucket 0 of Samples.bucket
  private bucketMs = 20;
  private end = 0;
  private foldedNodes = 0;
  private foldedThreads = 0;
  private early = 0;
  private counts = { fired: 0, lost: 0, missed: 0 }; // of the current stream
  private before = { fired: 0, lost: 0, missed: 0 }; // of streams before it
  private ended = '';
  private inUse = 0; // nodes after the last move

  constructor(private limits: LiveLimits = liveLimits) {}

  /** Takes one message. One that it does not know is ignored: the stream may learn new ones. */
  append(message: unknown): LiveLine {
    const m = (typeof message === 'string' ? JSON.parse(message) : message) as Record<string, unknown>;
    if (typeof m !== 'object' || m === null) return { type: '' };
    switch (m.type) {
      case 'hello': this.hello(m); break;
      case 'reset': this.numbers = new Numbers(); break;
      case 'end': this.ended = String(m.reason ?? 'end'); break;
      case 'batch': this.batch(m); break;
    }
    for (const key of ['fired', 'lost', 'missed'] as const) if (typeof m[key] === 'number') this.counts[key] = m[key];
    return Object.fromEntries(Object.entries(m).filter(([, v]) => typeof v !== 'object')) as unknown as LiveLine;
  }

  private hello(m: Record<string, unknown>): void {
    const about = this.samples.about;
    if (about.kind !== m.kind || about.service !== (m.service ?? '')) {
      this.model = new Model();
      this.epoch++;
      this.samples = emptySamples(String(m.kind ?? ''), String(m.unit ?? ''), String(m.service ?? ''));
      this.origin = this.end = this.early = this.foldedNodes = 0;
      this.before = { fired: 0, lost: 0, missed: 0 };
    } else for (const key of ['fired', 'lost', 'missed'] as const) this.before[key] += this.counts[key];
    this.counts = { fired: 0, lost: 0, missed: 0 };
    this.numbers = new Numbers();
    this.bucketMs = typeof m.bucket_ms === 'number' && m.bucket_ms >= 1 ? m.bucket_ms : 20;
    this.ended = '';
  }

  private batch(m: Record<string, unknown>): void {
    this.learn(m);
    const base = Number(m.base), end = Number(m.end);
    if (!this.origin) this.origin = base;
    if (end > this.end) this.end = end;
    const offset = Math.round((base - this.origin) / this.bucketMs);
    const list = flat(m.samples), sets = flat(m.sample_labels);
    const { samples } = this;
    // A batch that is wrong somewhere is left out whole: it is told again.
    const nodes = new Int32Array(list.length / 5);
    for (let i = 0; i < nodes.length; i++) nodes[i] = this.node(list[i * 5]!);
    for (let i = 0; i + 4 < list.length; i += 5) {
      samples.node.push(nodes[i / 5]!);
      samples.thread.push(this.thread(list[i + 1]!));
      samples.label.push(this.labels(sets[i / 5] ?? 0));
      samples.stack.push(0);
      samples.bucket.push(offset + list[i + 2]!);
      samples.values[0]!.push(list[i + 3]!);
      samples.values[1]!.push(list[i + 4]!);
    }
    this.evict();
  }

  private learn(m: Record<string, unknown>): void {
    const n = this.numbers;
    if (Array.isArray(m.strings)) for (const s of m.strings) n.strings.push(String(s).slice(0, 1 << 16));
    for (const v of flat(m.frames)) n.frames.push(v);
    const nodes = flat(m.nodes);
    for (let i = 0; i + 1 < nodes.length; i += 2) {
      n.parents.push(nodes[i]!);
      n.nodeFrames.push(nodes[i + 1]!);
      n.node.push(-1);
    }
    for (const v of flat(m.threads)) n.threads.push(v);
    const labels = flat(m.labels);
    for (let i = 0; i + 2 < labels.length; i += 3) {
      const parent = n.sets[labels[i]!];
      if (!parent) throw new Error(`the stream has a set of labels below set ${labels[i]} of ${n.sets.length}`);
      const string = (s: number) => n.strings[s] ?? '';
      n.sets.push([...parent, { key: string(labels[i + 1]!), value: string(labels[i + 2]!) }].slice(0, mostLabels));
      n.set.push(-1);
    }
    while (n.frame.n * 5 < n.frames.n) n.frame.push(-1);
    while (n.thread.n * 5 < n.threads.n) n.thread.push(-1);
  }

  /** The model's number of the stream's node. Parents come before their children, so the loop ends. */
  private node(i: number): number {
    const n = this.numbers;
    if (!(i >= 0 && i < n.node.n)) throw new Error(`the stream refers to node ${i} of ${n.node.n}`);
    const path: number[] = [];
    while (n.node.at(i) < 0) {
      path.push(i);
      const parent = n.parents.at(i - 1);
      if (!(parent >= 0 && parent < i)) throw new Error(`the stream has node ${i} below node ${parent}`);
      i = parent;
    }
    let node = n.node.at(i);
    while (path.length) {
      i = path.pop()!;
      node = n.node.a[i] = this.model.node(node, this.frame(n.nodeFrames.at(i - 1)));
    }
    return node;
  }

  private frame(i: number): number {
    const n = this.numbers;
    if (!(i >= 0 && i < n.frame.n)) throw new Error(`the stream refers to frame ${i} of ${n.frame.n}`);
    if (n.frame.at(i) < 0) {
      const [name, module, kind, file, line] = n.frames.a.subarray(i * 5, i * 5 + 5);
      const kindName = n.strings[kind!];
      const string = (s: number | undefined) => this.model.string(n.strings[s!] ?? '');
      n.frame.a[i] = this.model.frame(string(name), string(module), string(file), line!, kindNumber(kindName), kindName === 'inlined');
    }
    return n.frame.at(i);
  }

  private thread(i: number): number {
    const n = this.numbers;
    if (!(i >= 0 && i < n.thread.n)) return -1;
    if (n.thread.at(i) < 0) {
      const [service, comm, pid, tid, container] = n.threads.a.subarray(i * 5, i * 5 + 5);
      const string = (s: number | undefined) => n.strings[s!] ?? '';
      n.thread.a[i] = this.model.thread(string(service), string(comm), string(container), pid!, tid!);
    }
    return n.thread.at(i);
  }

  private labels(i: number): number {
    const n = this.numbers;
    if (!(i > 0 && i < n.sets.length)) return -1;
    if (n.set.at(i) < 0) n.set.a[i] = this.model.labelSet(n.sets[i]!);
    return n.set.at(i);
  }

  /** Drops what is older than keep, and the oldest where there is too much; moves when too little of the model is in use. */
  private evict(): void {
    const s = this.samples;
    const oldest = Math.floor((this.end - this.keep - this.origin) / this.bucketMs);
    while (s.start < s.n && s.bucket.at(s.start) < oldest) s.start++;
    const over = s.n - s.start - this.limits.entries;
    if (over > 0) {
      s.start += over;
      this.early += over;
    }
    if (s.start > 4096 && s.start * 2 > s.n) s.shed();
    const { nodes, threads } = this.model;
    const stale = nodes.n > 4 * this.inUse + Math.min(20_000, this.limits.nodes / 2);
    if (nodes.n > this.limits.nodes || threads.length > this.limits.threads || stale) this.move();
  }

  /** Puts what the held samples need into a new model, and folds the lightest paths where it is still too much. */
  private move(): void {
    const old = this.model, s = this.samples;
    const total = totals(old, s);
    const light = threshold(total, this.limits.nodes >> 1);
    const model = (this.model = new Model());
    const node = new Int32Array(old.nodes.n);
    const thread = new Int32Array(old.threads.length).fill(-1);
    const other = model.frame(model.string('(other)'), 0, 0, 0, kindNumber('other'), false);
    let ties = light.ties;
    for (let i = 1; i < node.length; i++) {
      const t = total[i]!;
      if (t <= 0) continue;
      const parent = node[old.nodes.a.at(i)]!;
      const folded = parent > 0 && model.nodes.b.at(parent) === other;
      if (folded || t < light.value || (t === light.value && ties-- <= 0)) {
        node[i] = folded ? parent : model.node(parent, other);
        this.foldedNodes++;
      } else node[i] = model.node(parent, carry(old, model, old.nodes.b.at(i)));
    }
    this.foldedThreads = 0;
    for (let i = s.n - 1; i >= s.start; i--) { // the newest threads first: those of which there is more to come
      s.node.a[i] = node[s.node.at(i)]!;
      const set = s.label.at(i);
      if (set >= 0) s.label.a[i] = model.labelSet(old.labelSets[set]!.map((l) => old.labels[l]!));
      const t = s.thread.at(i);
      if (t < 0) continue;
      if (thread[t]! < 0) {
        const { service, comm, container, pid, tid } = old.threads[t]!;
        const full = model.threads.length * 2 >= this.limits.threads;
        thread[t] = full ? model.thread(service, '(other)', '', 0, 0) : model.thread(service, comm, container, pid, tid);
        if (full) this.foldedThreads++;
      }
      s.thread.a[i] = thread[t]!;
    }
    this.inUse = model.nodes.n;
    this.numbers.unbind();
    this.epoch++;
  }

  state(): Live {
    const s = this.samples, value = s.values[1]!;
    let folded = 0;
    if (this.foldedNodes) {
      const other = this.model.functions.find(this.model.string('(other)'), 0);
      for (let i = s.start; i < s.n; i++) {
        const node = s.node.at(i);
        if (node > 0 && this.model.functionOf(this.model.nodes.b.at(node)) === other) folded += value.at(i);
      }
    }
    return {
      from: s.start < s.n ? this.origin + s.bucket.at(s.start) * this.bucketMs : this.end, to: this.end,
      kind: s.about.kind, unit: s.about.types[1]!.unit, samples: s.n - s.start, nodes: this.model.nodes.n,
      functions: this.model.functions.n, fired: this.before.fired + this.counts.fired, lost: this.before.lost + this.counts.lost,
      missed: this.before.missed + this.counts.missed, foldedNodes: this.foldedNodes,
      foldedValue: folded, foldedThreads: this.foldedThreads, early: this.early,
      ended: this.ended,
    };
  }

  /** Where bucket numbers begin, in Unix ms, and how long a bucket is. */
  clock(): { base: number; bucketMs: number } { return { base: this.origin, bucketMs: this.bucketMs }; }
}

function emptySamples(kind: string, unit: string, service = ''): Samples {
  return new Samples({
    title: '', kind, service, types: [{ type: 'samples', unit: 'count' }, { type: kind, unit }], default: 1, comments: [],
    samples: 0, folded: { nodes: 0, value: 0 }, times: true,
  });
}

/** Values of nodes with all below them; counts, so that an entry of value 0 is in use as well. */
function totals(model: Model, s: Samples): Float64Array {
  const total = new Float64Array(model.nodes.n);
  for (let i = s.start; i < s.n; i++) total[s.node.at(i)]! += s.values[0]!.at(i);
  for (let i = total.length - 1; i > 0; i--) total[model.nodes.a.at(i)]! += total[i]!;
  return total;
}

/** The total that the keep heaviest nodes have at least, and how many of exactly that are among them. */
function threshold(total: Float64Array, keep: number): { value: number; ties: number } {
  if (total.length <= keep) return { value: 0, ties: 0 };
  const sorted = total.slice().sort();
  const value = sorted[sorted.length - keep]!;
  let above = 0;
  for (const t of total) if (t > value) above++;
  return { value, ties: keep - above };
}

function carry(from: Model, to: Model, frame: number): number {
  const string = (id: number) => to.string(from.strings[id]!);
  const f = from.functionOf(frame);
  return to.frame(string(from.functions.a.at(f)), string(from.functions.b.at(f)), string(from.fileOf(frame)), from.lineOf(frame),
    from.kindOf(frame), from.inlined(frame));
}

function flat(v: unknown): number[] { return Array.isArray(v) ? v : []; }
