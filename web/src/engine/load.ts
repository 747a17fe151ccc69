import { Floats, Ints } from './columns.ts';
import { Model, Samples } from './model.ts';
import { kinds, type Description, type SampleType, type Source } from './types.ts';

/** Nodes of a document beyond it are folded into their parents; the makers of documents stay below. */
export const maxDocumentNodes = 1_000_000;

/** Longer names are cut: nobody reads them, and each is kept several times. */
const longestName = 1 << 16;

type Doc = Record<string, unknown>;

/** Reads what a source holds: a document and perhaps its base. */
export async function documents(source: Source): Promise<unknown[]> {
  let value: unknown = source;
  if (typeof value === 'object' && value !== null && 'base64' in value) value = fromBase64(String(value.base64));
  if (value instanceof ArrayBuffer) value = new Uint8Array(value);
  if (value instanceof Uint8Array) value = await text(value);
  if (typeof value === 'string') value = JSON.parse(value);
  const bundle = (value as { documents?: unknown } | null)?.documents;
  return Array.isArray(bundle) ? bundle : [value];
}

async function text(bytes: Uint8Array): Promise<string> {
  const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (!zipped) return new TextDecoder().decode(bytes);
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).text();
}

function fromBase64(s: string): Uint8Array {
  const binary = atob(s);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * Adds a document (docs/formats.md, stacks) to a model as one side. Throws when it is none: numbers that refer to nothing
 * are an error, missing columns are empty.
 */
export function load(model: Model, value: unknown): Samples {
  const doc = object(value, 'document');
  if (doc.version !== 1) throw new Error(`the document has version ${String(doc.version)}, not 1`);
  const samples = new Samples(describe(doc));
  const strings = list(doc.strings, 'strings').map((s) => model.string(String(s).slice(0, longestName)));
  const frames = loadFrames(model, doc, strings);
  const nodes = loadNodes(model, doc, frames, samples.about);
  const threads = loadThreads(model, object(doc.threads ?? {}, 'threads'), list(doc.strings, 'strings'));
  const labels = list(doc.labels ?? [], 'labels').map((l) => object(l, 'label'));
  const sets = list(doc.labelsets ?? [], 'labelsets').map((set) => model.labelSet(list(set, 'labelset').map((i) => {
    const l = labels[index(i, labels.length, 'label')]!;
    return { key: String(l.key), value: String(l.value) };
  })));
  const s = object(doc.samples ?? {}, 'samples');
  const node = list(s.node ?? [], 'samples.node');
  const thread = column(s.thread), label = column(s.label), stack = column(s.stack);
  const values = samples.values.map((_, t) => list(list(s.values ?? [], 'samples.values')[t] ?? [], 'samples.values'));
  for (let i = 0; i < node.length; i++) {
    samples.node.push(nodes[index(node[i], nodes.length, 'samples.node')]!);
    samples.thread.push(optional(thread[i], threads, 'samples.thread'));
    samples.label.push(optional(label[i], sets, 'samples.label'));
    samples.stack.push(strings[index(stack[i] ?? 0, strings.length, 'samples.stack')]!);
    samples.values.forEach((c, t) => c.push(number(values[t]![i])));
  }
  samples.about.samples = node.length;
  loadTimes(samples, doc.times);
  return samples;
}

function describe(doc: Doc): Description {
  const types = list(doc.types ?? [], 'types').map(sampleType);
  if (types.length === 0 || types.length > 16) throw new Error(`the document has ${types.length} sample types`);
  const folded = object(doc.folded ?? {}, 'folded');
  return {
    title: String(doc.title ?? ''), kind: String(doc.kind ?? ''), service: String(doc.service ?? ''), types,
    default: index(doc.default ?? 0, types.length, 'default'),
    from: maybe(doc.from), to: maybe(doc.to), durationNs: maybe(doc.duration_ns), period: maybe(doc.period),
    periodType: doc.period_type ? sampleType(doc.period_type) : undefined,
    covered: doc.covered as Description['covered'] ?? undefined,
    comments: list(doc.comments ?? [], 'comments').map(String), samples: 0,
    folded: { nodes: number(folded.nodes), value: number(folded.value) }, times: false,
  };
}

function loadFrames(model: Model, doc: Doc, strings: number[]): Int32Array {
  const f = object(doc.frames ?? {}, 'frames');
  const known = list(doc.kinds ?? [], 'kinds').map(kindNumber);
  const name = list(f.name ?? [], 'frames.name');
  const module = column(f.module), file = column(f.file), line = column(f.line), kind = column(f.kind), inlined = column(f.inlined);
  const string = (v: unknown) => strings[index(v ?? 0, strings.length, 'frame')]!;
  return Int32Array.from(name, (n, i) => model.frame(string(n), string(module[i]), string(file[i]), number(line[i]) | 0,
    known[number(kind[i])] ?? kindNumber('other'), Boolean(inlined[i])));
}

function loadNodes(model: Model, doc: Doc, frames: Int32Array, about: Description): Int32Array {
  const n = object(doc.nodes ?? {}, 'nodes');
  const parent = list(n.parent ?? [], 'nodes.parent'), frame = list(n.frame ?? [], 'nodes.frame');
  const nodes = new Int32Array(Math.max(1, parent.length));
  model.nodes.reserve(Math.min(parent.length, maxDocumentNodes));
  for (let i = 1; i < parent.length; i++) {
    const p = nodes[index(parent[i], i, 'nodes.parent')]!;
    if (i < maxDocumentNodes) nodes[i] = model.node(p, frames[index(frame[i], frames.length, 'nodes.frame')]!);
    else {
      nodes[i] = p;
      about.folded.nodes++;
    }
  }
  return nodes;
}

function loadThreads(model: Model, t: Doc, strings: unknown[]): number[] {
  const service = column(t.service), comm = column(t.comm), container = column(t.container), pid = column(t.pid), tid = column(t.tid);
  const string = (v: unknown) => String(strings[index(v ?? 0, strings.length, 'thread')] ?? '');
  return Array.from({ length: Math.max(service.length, comm.length, tid.length, pid.length) }, (_, i) =>
    model.thread(string(service[i]), string(comm[i]), string(container[i]), number(pid[i]), number(tid[i])));
}

function loadTimes(samples: Samples, value: unknown): void {
  if (!value) return;
  const t = object(value, 'times');
  const sample = list(t.sample ?? [], 'times.sample'), bucket = list(t.bucket ?? [], 'times.bucket');
  const values = list(t.value ?? [], 'times.value');
  const bucketMs = number(t.bucket_ms);
  if (!(bucketMs >= 1) || sample.length === 0) return;
  const times = { base: number(t.base), bucketMs, sample: new Ints(), bucket: new Ints(), value: new Floats() };
  for (let i = 0; i < sample.length; i++) {
    times.sample.push(index(sample[i], samples.n, 'times.sample'));
    times.bucket.push(number(bucket[i]) | 0);
    times.value.push(number(values[i]));
  }
  samples.times = times;
  samples.about.times = true;
}

/** The number of a kind of frames; names of others are other. */
export function kindNumber(name: unknown): number {
  const i = kinds.indexOf(name as typeof kinds[number]);
  return i < 0 ? kinds.length - 1 : i;
}

function sampleType(v: unknown): SampleType {
  const t = object(v, 'type');
  return { type: String(t.type ?? ''), unit: String(t.unit ?? '') };
}

function object(v: unknown, what: string): Doc {
  if (typeof v !== 'object' || v === null) throw new Error(`${what} is not an object`);
  return v as Doc;
}

function list(v: unknown, what: string): unknown[] {
  if (!Array.isArray(v)) throw new Error(`${what} is not a list`);
  return v;
}

function column(v: unknown): unknown[] { return Array.isArray(v) ? v : []; }

function index(v: unknown, n: number, what: string): number {
  if (typeof v !== 'number' || !(v >= 0 && v < n) || v !== Math.floor(v)) throw new Error(`${what} is ${String(v)}, of ${n}`);
  return v;
}

function optional(v: unknown, numbers: number[], what: string): number {
  return v === undefined || v === -1 ? -1 : numbers[index(v, numbers.length, what)]!;
}

function number(v: unknown): number { return typeof v === 'number' && Number.isFinite(v) ? v : 0; }

function maybe(v: unknown): number | undefined { return typeof v === 'number' && Number.isFinite(v) ? v : undefined; }
