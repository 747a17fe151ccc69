export const start = 1_772_600_767_000;
const services = 12, hz = 100, dictionaryLimit = 200_000;

/** The daemon's side of the stream: numbers of what was told, all forgotten at a reset. */
export class Stream {
  private seed = 12345;
  private strings = new Map<string, number>();
  private frames = new Map<string, number>();
  private nodes = new Map<number, number>(); // by parent * 2^20 + frame
  private threads = new Map<string, number>();
  private stacks = new Map<number, number>(); // the node of each
  private news = { strings: [] as string[], frames: [] as number[], nodes: [] as number[], threads: [] as number[] };

  get full(): boolean { return this.nodes.size + this.frames.size + this.threads.size + this.strings.size > dictionaryLimit; }

  reset(): void { for (const m of [this.strings, this.frames, this.nodes as Map<unknown, number>, this.threads, this.stacks as Map<unknown, number>]) m.clear(); }

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

  private stack(service: number, minute: number, stack: number): number {
    let node = 0;
    for (let depth = 0, deep = 10 + (stack * 7) % 30; depth < deep; depth++) {
      const name = minute >= 0 && depth > 8 ? `generated_${minute}_${service}_${stack}_${depth}` : `service${service}::level${depth}::function_${stack >> Math.max(0, 6 - (depth >> 1))}`;
      const frame = this.frame(name, `/usr/lib/lib${service}.so`, 1), parent = node;
      node = this.number(this.nodes, node * 2 ** 20 + frame, 1, () => this.news.nodes.push(parent, frame));
    }
    return node;
  }

  /** A second: stacks mostly of what is there all day, some of what this minute brought, in threads that come and go. */
  batch(second: number): object {
    const minute = Math.floor(second / 60), samples: number[] = [], base = start + second * 1000;
    for (let i = 0; i < hz; i++) {
      const service = this.random(services), fresh = this.random(10) === 0, stack = this.random(fresh ? 3 : 60);
      const key = ((fresh ? minute + 1 : 0) * services + service) * 60 + stack;
      let node = this.stacks.get(key);
      if (node === undefined) this.stacks.set(key, (node = this.stack(service, fresh ? minute : -1, stack)));
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
