/** A stack for a document: frames from the root, all of module m. */
export interface Stack {
  stack: string;
  value: number;
  thread?: number;
  labels?: Record<string, string>;
  incomplete?: string;
  times?: [bucket: number, value: number][];
}

/** Makes a stacks document, as render.Stacks of the Go side does. */
export function document(stacks: Stack[]): object {
  const strings = [''];
  const string = (s: string) => (strings.includes(s) ? strings.indexOf(s) : strings.push(s) - 1);
  const frames = { name: [] as number[], module: [] as number[], file: [] as number[], line: [] as number[], kind: [] as number[], inlined: [] as number[] };
  const frameOf = new Map<string, number>(), nodeOf = new Map<string, number>([['', 0]]);
  const nodes = { parent: [-1], frame: [-1] };
  const frame = (name: string) => {
    if (!frameOf.has(name)) {
      frameOf.set(name, frames.name.push(string(name)) - 1);
      frames.module.push(string(name.startsWith('[') ? '' : 'm'));
      frames.file.push(string(`${name.slice(0, 10)}.c`));
      frames.line.push(10);
      frames.kind.push(name.startsWith('[') ? 1 : 0);
      frames.inlined.push(0);
    }
    return frameOf.get(name)!;
  };
  const node = (path: string): number => {
    let id = nodeOf.get(path);
    if (id === undefined) {
      const cut = path.lastIndexOf(';');
      const parent = node(cut < 0 ? '' : path.slice(0, cut));
      id = nodes.parent.push(parent) - 1;
      nodes.frame.push(frame(path.slice(cut + 1)));
      nodeOf.set(path, id);
    }
    return id;
  };
  const labels: { key: string; value: string }[] = [];
  const labelsets: number[][] = [];
  const samples = { node: [] as number[], thread: [] as number[], label: [] as number[], stack: [] as number[], values: [[], []] as number[][] };
  const times = { bucket_ms: 20, base: 1_772_600_767_000, sample: [] as number[], bucket: [] as number[], value: [] as number[] };
  stacks.forEach((s, i) => {
    samples.node.push(node(s.stack));
    samples.thread.push(s.thread ?? 0);
    samples.label.push(s.labels ? labelsets.push(Object.entries(s.labels).map(([key, value]) => labels.push({ key, value }) - 1)) - 1 : -1);
    samples.stack.push(string(s.incomplete ?? ''));
    samples.values[0]!.push(1);
    samples.values[1]!.push(s.value);
    for (const [bucket, value] of s.times ?? []) {
      times.sample.push(i);
      times.bucket.push(bucket);
      times.value.push(value);
    }
  });
  const all = string('service'), worker = string('worker');
  return {
    version: 1, kind: 'cpu', service: 'service', title: '', types: [{ type: 'samples', unit: 'count' }, { type: 'cpu', unit: 'nanoseconds' }],
    default: 1, from: 1_772_600_767_000, to: 1_772_600_777_000, duration_ns: 1e10, strings, frames, kinds: ['native', 'marker'], nodes,
    threads: { service: [all, all, all], comm: [worker, worker, worker], container: [0, 0, 0], pid: [1, 1, 1], tid: [1, 2, 3] },
    labels, labelsets, samples, times: times.sample.length ? times : undefined, folded: { nodes: 0, value: 0 }, comments: [],
  };
}
