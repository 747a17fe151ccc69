import type { Model, Samples, Thread } from './model.ts';
import { kinds, type Filter } from './types.ts';

/** Samples that a filter lets through: rows of their side and what each weighs. */
export interface Picked {
  n: number;
  row: Int32Array;
  weight: Float64Array;
  from: number; // Unix ms of what was asked for or known; 0: not known
  to: number;
}

export interface Clock { base: number; bucketMs: number }

/**
 * Which samples of a side are in a view, for one sample type. clock is that of the live buffer, null for documents. What
 * the filter says of modules is for the tree to heed.
 */
export function pick(model: Model, s: Samples, type: number, filter: Filter, clock: Clock | null): Picked {
  const pass = passes(model, s, filter);
  const values = s.values[type]!;
  const timed = filter.from !== undefined || filter.to !== undefined;
  const from = filter.from ?? -Infinity, to = filter.to ?? Infinity;
  const known = { from: filter.from ?? s.about.from ?? 0, to: filter.to ?? s.about.to ?? 0 };
  if (timed && !clock && s.times) {
    const { times } = s;
    const out = { n: 0, row: new Int32Array(times.sample.n), weight: new Float64Array(times.sample.n), ...known };
    // Times are of the default type; what they say of another is in proportion.
    const own = s.values[s.about.default]!;
    for (let i = 0; i < times.sample.n; i++) {
      const at = times.base + times.bucket.at(i) * times.bucketMs;
      const row = times.sample.at(i);
      if (at < from || at >= to || !pass(row)) continue;
      const share = type === s.about.default ? times.value.at(i) : times.value.at(i) * values.at(row) / (own.at(row) || 1);
      out.row[out.n] = row;
      out.weight[out.n++] = share;
    }
    return out;
  }
  const out = { n: 0, row: new Int32Array(s.n - s.start), weight: new Float64Array(s.n - s.start), ...known };
  const first = clock && timed ? (from - clock.base) / clock.bucketMs : -Infinity;
  const end = clock && timed ? (to - clock.base) / clock.bucketMs : Infinity;
  for (let i = s.start; i < s.n; i++) {
    const w = values.at(i);
    if (w === 0 || !pass(i)) continue;
    if (clock && (s.bucket.at(i) < first || s.bucket.at(i) >= end)) continue;
    out.row[out.n] = i;
    out.weight[out.n++] = w;
  }
  return out;
}

/** A test of rows: threads, labels and completeness. Decided once for each thread and label set. */
function passes(model: Model, s: Samples, f: Filter): (row: number) => boolean {
  const threads = wanted(f.threads), processes = wanted(f.processes), services = wanted(f.services);
  const byThread = threads || processes || services ? Uint8Array.from(model.threads, (t: Thread) =>
    Number((!threads || threads.has(t.key)) && (!processes || processes.has(t.process)) && (!services || services.has(t.service)))) : null;
  const byLabels = f.labels?.length || f.hideLabels?.length
    ? Uint8Array.from(model.labelSets, (set) => Number(labelsPass(set.map((l) => model.labels[l]!), f))) : null;
  const unlabelled = labelsPass([], f);
  const marked = f.complete ? markedNodes(model) : null;
  return (row) => {
    const t = s.thread.at(row), l = s.label.at(row);
    if (byThread && (t < 0 || !byThread[t])) return false;
    if (byLabels && (l < 0 ? !unlabelled : !byLabels[l])) return false;
    return !marked || (s.stack.at(row) === 0 && !marked[s.node.at(row)]);
  };
}

function labelsPass(set: { key: string; text: string }[], f: Filter): boolean {
  if (set.some((l) => f.hideLabels?.includes(l.text))) return false;
  const keys = new Set(f.labels?.map((text) => text.slice(0, text.indexOf('='))));
  for (const key of keys) if (!set.some((l) => l.key === key && f.labels!.includes(l.text))) return false;
  return true;
}

function wanted(list: string[] | undefined): Set<string> | null { return list?.length ? new Set(list) : null; }

const marker = kinds.indexOf('marker');

/** For each node whether the outermost frame of its stack is a marker, which stands for the part that is missing. */
export function markedNodes(model: Model): Uint8Array {
  const parent = model.nodes.a.a, frame = model.nodes.b.a;
  const marked = new Uint8Array(model.nodes.n);
  for (let i = 1; i < marked.length; i++) {
    marked[i] = parent[i] === 0 ? Number(model.kindOf(frame[i]!) === marker) : marked[parent[i]!]!;
  }
  return marked;
}
