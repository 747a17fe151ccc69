/** A tree of n nodes as profiles of large programs have them: up to 60 deep, few heavy paths, many light ones. The same each time. */
export function synthetic(n: number): object {
  let seed = 12345;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const functions = Math.max(100, Math.min(20_000, n / 20 | 0)), modules = 40;
  const strings = ['', 'worker', 'service'];
  const first = strings.length;
  for (let m = 0; m < modules; m++) strings.push(`/usr/lib/libmodule${m}.so`);
  for (let f = 0; f < functions; f++) strings.push(`namespace${f % 97}::Class${f % 389}::function_${f}(int, char const*)`);
  const ids = Array.from({ length: functions }, (_, f) => f);
  const frames = {
    name: ids.map((f) => first + modules + f), module: ids.map((f) => first + (f * 7) % modules), file: ids.map(() => 0),
    line: ids.map((f) => f), kind: ids.map((f) => f % 10), inlined: ids.map(() => 0),
  };
  const nodes = { parent: [-1], frame: [-1] }, depth = [0];
  const samples = { node: [] as number[], thread: [] as number[], label: [] as number[], stack: [] as number[], values: [[], []] as number[][] };
  while (nodes.parent.length < n) {
    let p = random() < 0.55 ? nodes.parent.length - 1 : Math.floor(random() ** 2 * nodes.parent.length);
    if (depth[p]! >= 60) p = 0;
    const id = nodes.parent.push(p) - 1;
    nodes.frame.push(Math.floor(random() * functions));
    depth.push(depth[p]! + 1);
    if (random() < 0.6) {
      samples.node.push(id);
      samples.thread.push(id % 64);
      samples.label.push(-1);
      samples.stack.push(0);
      const count = Math.ceil(1 / (random() + 0.001));
      samples.values[0]!.push(count);
      samples.values[1]!.push(count * 10_101_010);
    }
  }
  const threads = Array.from({ length: 64 }, (_, t) => t);
  return {
    version: 1, kind: 'cpu', service: 'synthetic', title: '', types: [{ type: 'samples', unit: 'count' }, { type: 'cpu', unit: 'nanoseconds' }],
    default: 1, comments: [], strings, frames,
    kinds: ['native', 'C', 'C++', 'Rust', 'Go', 'JIT', 'interpreter', 'inlined', 'kernel', 'vDSO'], nodes,
    threads: { service: threads.map(() => 2), comm: threads.map(() => 1), container: threads.map(() => 0), pid: threads.map(() => 1), tid: threads.map((t) => t + 1) },
    labels: [], labelsets: [], samples, folded: { nodes: 0, value: 0 },
  };
}
