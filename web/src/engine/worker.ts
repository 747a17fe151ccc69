import { details, heatmap, lists, table } from './answers.ts';
import { Core } from './core.ts';
import * as exports from './exports.ts';
import { guarded, matches } from './search.ts';
import { warm } from './warm.ts';
import type { Layout, Sort, Source, View } from './types.ts';

interface Question { id: number; op: string; args: unknown[] }
interface Scope {
  onmessage: ((e: MessageEvent<Question | { match: string; names: string[] }>) => void) | null;
  postMessage(message: unknown, transfer?: Transferable[]): void;
  location: { href: string };
}

/** Makes this worker answer the page's questions. */
export function answer(): void {
  const scope = self as unknown as Scope;
  const core = new Core(typeof Worker === 'undefined' ? async (p, names) => matches(p, names) : guarded(scope.location.href));

  const answers: Record<string, (...args: never[]) => unknown> = {
    warm,
    load: (source: Source, base?: Source) => core.load(source, base),
    clear: () => core.clear(),
    append: (message: unknown) => core.append(message),
    keep: (ms: number) => core.keep(ms),
    layout: (view: View) => core.layout(view),
    sandwich: (view: View, key: string) => core.sandwich(view, key),
    table: (view: View, sort: Sort, limit: number) => table(core, view, sort, limit),
    heatmap: (view: View, from: number, to: number, column: number) => heatmap(core, view, from, to, column),
    lists: (view: View) => lists(core, view),
    details: (view: View, path: string[]) => details(core, view, path),
    folded: (view: View) => exports.folded(core, view),
    svg: (view: View, o: exports.SVGOptions) => exports.svg(core, view, o),
    doc: (view: View) => exports.doc(core, view),
    speedscope: (view: View) => exports.speedscope(core, view),
    pprof: (view: View) => exports.pprof(core, view),
  };

  // One after another: an answer that waits for a search does not see data that came later.
  let last: Promise<void> = Promise.resolve();

  scope.onmessage = (e) => {
    const question = e.data;
    if ('match' in question) scope.postMessage(matches(question.match, question.names));
    else last = last.then(() => one(question));
  };

  async function one({ id, op, args }: Question): Promise<void> {
    try {
      const value = await answers[op]!(...(args as never[]));
      if (!id) return;
      const frames = core.news();
      scope.postMessage({ id, value, frames }, [...buffers(value), ...(frames ? [frames.ends.buffer, frames.rows.buffer] : [])] as Transferable[]);
    } catch (e) {
      // What has no question to answer, a line of the stream, fails aloud.
      scope.postMessage({ id, op, error: e instanceof Error ? e.message : String(e) });
    }
  }
}

/** Buffers of layouts and heatmaps, which nobody here needs any more. */
function buffers(value: unknown): Transferable[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('callers' in value && 'callees' in value) return [...buffers(value.callers), ...buffers(value.callees)];
  if (value instanceof Uint8Array) return [value.buffer as ArrayBuffer];
  return Object.values(value as Layout).filter(ArrayBuffer.isView).map((a) => a.buffer as ArrayBuffer);
}
