import { Dictionary, type Parcel } from './dictionary.ts';
import type { Details, Frame, Frames, Heatmap, Layout, Lists, LiveLine, Sandwich, Sort, Source, Summary, Table, View } from './types.ts';

export * from './types.ts';

interface Call { resolve(value: never): void; reject(reason: Error): void }
interface Answer { id: number; value?: unknown; error?: string; frames?: Parcel }

/**
 * The page's side of the worker: the worker holds the data and computes, this passes messages. All answers come in the
 * order of the questions, except that a layout that was superseded before the worker got to it is answered with null.
 */
export class Engine {
  private worker: Worker;
  private url = '';
  private calls = new Map<number, Call>();
  private last = 0;
  private dictionary = new Dictionary(0);
  private busy = false; // a layout is under way
  private next: { view: View; call: { resolve(l: Layout | null): void; reject(e: Error): void } } | null = null;
  /** Is told once when the worker broke; every question from then on fails. */
  onfailure: (reason: string) => void = () => {};

  /** The worker's script: its URL, or its text as a blob. */
  constructor(script: string | Blob) {
    if (script instanceof Blob) this.url = script = URL.createObjectURL(script);
    this.worker = new Worker(script);
    this.worker.onmessage = (e: MessageEvent<Answer>) => this.answer(e.data);
    this.worker.onerror = (e) => this.fail(e.message || 'the worker cannot be started');
    this.worker.postMessage({ id: 0, op: 'warm', args: [] });
  }

  close(): void {
    this.worker.terminate();
    if (this.url) URL.revokeObjectURL(this.url);
    this.fail('closed');
  }

  /** Replaces everything by a document and, to compare with, a base. An array buffer is taken over. */
  load(source: Source, base?: Source): Promise<Summary> {
    const buffers = [source, base].filter((s): s is ArrayBuffer => s instanceof ArrayBuffer);
    return this.call('load', [source, base], buffers);
  }

  /** Replaces everything by nothing, ready for a live stream. */
  clear(): Promise<Summary> { return this.call('clear', []); }

  /**
   * Takes one line of the live stream, as text, which is quicker to hand over than to parse here, or parsed, and tells what
   * it says besides samples. One that is wrong is left out, and rejected.
   */
  append(message: unknown): Promise<LiveLine> { return this.call('append', [message]); }

  /** How much time of the live stream is held. */
  keep(ms: number): void { this.worker.postMessage({ id: 0, op: 'keep', args: [ms] }); }

  /** The newest question wins: one that still waits when the next is asked is answered with null. */
  layout(view: View): Promise<Layout | null> {
    return new Promise((resolve, reject) => {
      this.next?.call.resolve(null);
      this.next = { view, call: { resolve, reject } };
      this.pump();
    });
  }

  /** A function of the newest dictionary; of a layout, ask its own frames. */
  frame(i: number): Frame { return this.dictionary.get(i); }
  frames(): Frames { return this.dictionary; }

  table(view: View, sort: Sort, limit: number): Promise<Table> { return this.call('table', [view, sort, limit]); }
  /** Callers and callees of a function, over all stacks of the view; recursion is counted once. */
  sandwich(view: View, key: string): Promise<Sandwich> { return this.call('sandwich', [view, key]); }
  /** 0, 0: all that is known. */
  heatmap(view: View, from: number, to: number, columnMs: number): Promise<Heatmap> {
    return this.call('heatmap', [view, from, to, columnMs]);
  }
  lists(view: View): Promise<Lists> { return this.call('lists', [view]); }
  /** About one frame, by its keys from the root (as pathOf gives them), in the view's direction; null: it is no more. */
  details(view: View, path: string[]): Promise<Details | null> { return this.call('details', [view, path]); }

  // What the view shows, in a format; of differences the new side.
  exportFolded(view: View): Promise<string> { return this.call('folded', [view]); }
  exportSVG(view: View, o: { width?: number; icicle?: boolean; dark?: boolean; title?: string } = {}): Promise<string> {
    return this.call('svg', [view, o]);
  }
  /** gzip of the JSON {"documents":[...]} that the page as a file holds. */
  exportDoc(view: View): Promise<Uint8Array<ArrayBuffer>> { return this.call('doc', [view]); }
  exportSpeedscope(view: View): Promise<string> { return this.call('speedscope', [view]); }
  /** A gzipped pprof profile. */
  exportPprof(view: View): Promise<Uint8Array<ArrayBuffer>> { return this.call('pprof', [view]); }

  private call<T>(op: string, args: unknown[], transfer: Transferable[] = []): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const id = ++this.last;
      this.calls.set(id, { resolve, reject });
      this.worker.postMessage({ id, op, args }, transfer);
    });
  }

  private pump(): void {
    const next = this.next;
    if (this.busy || !next) return;
    this.busy = true;
    this.next = null;
    const done = () => { this.busy = false; this.pump(); };
    this.call<Layout>('layout', [next.view]).then(next.call.resolve, next.call.reject).finally(done);
  }

  private answer(a: Answer): void {
    if (a.frames) {
      if (a.frames.epoch !== this.dictionary.epoch) this.dictionary = new Dictionary(a.frames.epoch);
      this.dictionary.add(a.frames);
    }
    const call = this.calls.get(a.id);
    if (!call) return;
    this.calls.delete(a.id);
    if (a.error !== undefined) return call.reject(new Error(a.error));
    for (const part of partsWithFrames(a.value)) part.frames = this.dictionary;
    call.resolve(a.value as never);
  }

  private fail(reason: string): void {
    for (const call of this.calls.values()) call.reject(new Error(reason));
    this.calls.clear();
    this.onfailure(reason);
  }
}

/** The layouts and tables in an answer: what refers to functions by number. */
function partsWithFrames(value: unknown): { frames: Frames }[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('callers' in value && 'callees' in value) return [value.callers, value.callees] as { frames: Frames }[];
  return 'frames' in value ? [value as { frames: Frames }] : [];
}

/** The keys of the frames from the root to an entry: what View.root and details take. */
export function pathOf(l: Layout, entry: number): string[] {
  const path: string[] = [];
  for (; entry > 0; entry = l.parent[entry]!) path.push(l.frames.get(l.frame[entry]!).key);
  return path.reverse();
}
