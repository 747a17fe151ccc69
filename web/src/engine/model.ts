import { Floats, Ints, Pairs } from './columns.ts';
import { keyOf } from './key.ts';
import { kinds, type Description, type Frame } from './types.ts';

export interface Thread {
  service: string;
  comm: string;
  container: string;
  pid: number;
  tid: number;
  key: string; // of the thread, as filters have it
  process: string; // key of its process
}

/** When the rows of a document were sampled, for its default type only. */
export interface Times {
  base: number; // Unix ms of bucket 0
  bucketMs: number;
  sample: Ints;
  bucket: Ints;
  value: Floats;
}

/** One side of a comparison: what was sampled, in columns. Rows before start are no more. */
export class Samples {
  start = 0;
  readonly node = new Ints();
  readonly thread = new Ints(); // -1: not known
  readonly label = new Ints(); // label set, -1: none
  readonly stack = new Ints(); // string: why the stack is incomplete, 0: it is complete
  readonly bucket = new Ints(); // live only
  values: Floats[] = [];
  times: Times | null = null;

  constructor(readonly about: Description) {
    this.values = about.types.map(() => new Floats());
  }

  get n(): number { return this.node.n; }

  /** The type that a view means. */
  type(wanted: number): number {
    return wanted >= 0 && wanted < this.values.length ? wanted : this.about.default;
  }

  /** Forgets the rows before start for good. */
  shed(): void {
    for (const c of [this.node, this.thread, this.label, this.stack, this.bucket, ...this.values]) c.drop(this.start);
    this.start = 0;
  }
}

/**
 * The stacks of a document, of a document and its base, or of a live stream, as one tree of call paths over one dictionary:
 * whatever is compared has the same numbers. Every table only grows; a live stream moves into a new model now and then.
 */
export class Model {
  readonly strings: string[] = [''];
  private stringIds = new Map<string, number>([['', 0]]);
  /** name, module: what is one function to a reader. */
  readonly functions = new Pairs();
  private first = new Ints(); // frame as which a function was seen first
  private sites = new Pairs(); // file, line
  private located = new Pairs(); // function, site
  private frames = new Pairs(); // located, kind * 2 + inlined
  /** parent, frame. Node 0 is the root; a parent comes before its children. */
  readonly nodes = new Pairs();
  readonly threads: Thread[] = [];
  private threadIds = new Map<string, number>();
  readonly labels: { key: string; value: string; text: string }[] = [];
  private labelIds = new Map<string, number>();
  readonly labelSets: number[][] = [];
  private labelSetIds = new Map<string, number>();

  constructor() {
    this.nodes.intern(-1, -1);
  }

  string(s: string): number {
    let id = this.stringIds.get(s);
    if (id === undefined) {
      id = this.strings.length;
      this.strings.push(s);
      this.stringIds.set(s, id);
    }
    return id;
  }

  /** Takes numbers of strings; kind is a number in kinds. */
  frame(name: number, module: number, file: number, line: number, kind: number, inlined: boolean): number {
    const f = this.functions.intern(name, module);
    const frame = this.frames.intern(this.located.intern(f, this.sites.intern(file, line)), kind * 2 + (inlined ? 1 : 0));
    if (f === this.first.n) this.first.push(frame);
    return frame;
  }

  /** A function that is in no stack: a group, a module. */
  synthetic(name: string, module: string, kind: number): number {
    const f = this.functions.intern(this.string(name), this.string(module));
    if (f === this.first.n) this.first.push(this.frames.intern(this.located.intern(f, this.sites.intern(0, 0)), kind * 2));
    return f;
  }

  node(parent: number, frame: number): number { return this.nodes.intern(parent, frame); }

  thread(service: string, comm: string, container: string, pid: number, tid: number): number {
    const process = pid ? `${pid}\u001f${service}\u001f${container}` : `\u001f${service}\u001f${container}`;
    const key = `${tid}\u001f${comm}\u001f${process}`;
    let id = this.threadIds.get(key);
    if (id === undefined) {
      id = this.threads.length;
      this.threads.push({ service, comm, container, pid, tid, key, process });
      this.threadIds.set(key, id);
    }
    return id;
  }

  labelSet(list: { key: string; value: string }[]): number {
    const ids = list.map((l) => this.label(l.key, l.value)).sort((x, y) => x - y);
    const key = ids.join();
    let id = this.labelSetIds.get(key);
    if (id === undefined) {
      id = this.labelSets.length;
      this.labelSets.push(ids);
      this.labelSetIds.set(key, id);
    }
    return id;
  }

  private label(key: string, value: string): number {
    const text = `${key}=${value}`;
    let id = this.labelIds.get(text);
    if (id === undefined) {
      id = this.labels.length;
      this.labels.push({ key, value, text });
      this.labelIds.set(text, id);
    }
    return id;
  }

  // What numbers mean.
  functionOf(frame: number): number { return this.located.a.at(this.frames.a.at(frame)); }
  kindOf(frame: number): number { return this.frames.b.at(frame) >> 1; }
  inlined(frame: number): boolean { return (this.frames.b.at(frame) & 1) === 1; }
  fileOf(frame: number): number { return this.sites.a.at(this.located.b.at(this.frames.a.at(frame))); }
  lineOf(frame: number): number { return this.sites.b.at(this.located.b.at(this.frames.a.at(frame))); }
  /** The frame as which a function was seen first. */
  firstFrame(f: number): number { return this.first.at(f); }
  kindOfFunction(f: number): number { return this.kindOf(this.first.at(f)); }
  name(f: number): string { return this.strings[this.functions.a.at(f)]!; }
  module(f: number): string { return this.strings[this.functions.b.at(f)]!; }
  key(f: number): string { return keyOf(this.name(f), this.module(f)); }

  describe(f: number): Frame {
    const frame = this.first.at(f);
    const name = this.name(f), module = this.module(f);
    return {
      key: keyOf(name, module), name, module, file: this.strings[this.fileOf(frame)]!, line: this.lineOf(frame),
      kind: kinds[this.kindOf(frame)]!, inlined: this.inlined(frame),
    };
  }
}
