import type { Model } from './model.ts';
import type { Found } from './tree.ts';
import { kinds, type View } from './types.ts';

/** How long a regular expression may take over all names. */
const patience = 1000;

/**
 * Finds functions by patterns. Regular expressions may take for ever, and nothing can interrupt one: a worker of its own
 * runs them, and is ended when it takes too long. What was found is kept, and only functions that are new are looked at.
 */
export class Searcher {
  private kept = new Map<string, Uint8Array>();
  private names: string[] = [];
  private epoch = -1;

  constructor(private run: (pattern: string, names: string[]) => Promise<Uint8Array>) {}

  /** All patterns of a view. error: why the search found nothing; other patterns that are wrong are thrown. */
  async find(model: Model, epoch: number, view: View): Promise<Found & { error: string }> {
    if (epoch !== this.epoch) {
      this.kept.clear();
      this.epoch = epoch;
    }
    const focus = [], hide = [];
    for (const p of view.focus) focus.push(await this.pattern(model, p));
    for (const p of view.hide) hide.push(await this.pattern(model, p));
    if (!view.search) return { focus, hide, search: null, error: '' };
    try {
      const search = view.searchRegexp ? await this.pattern(model, view.search, true) : this.substring(model, view.search);
      return { focus, hide, search, error: '' };
    } catch (e) {
      return { focus, hide, search: null, error: (e as Error).message };
    }
  }

  private async pattern(model: Model, pattern: string, modules = false): Promise<Uint8Array> {
    if (pattern.startsWith('=') && !modules) return this.grow(model, `k${pattern}`, (f) => model.key(f) === pattern.slice(1));
    if (pattern.startsWith('~') && !modules) return this.grow(model, `c${pattern}`, (f) => kinds[model.kindOfFunction(f)] === pattern.slice(1));
    try {
      new RegExp(pattern, 'iu');
    } catch (e) {
      throw new Error(`${pattern.slice(0, 80)}: ${(e as Error).message.replace(/^Invalid regular expression: \/.*\/\w*: /s, '')}`);
    }
    const id = `${modules ? 'm' : 'r'}${pattern}`;
    const old = this.kept.get(id), n = model.functions.n;
    if (old?.length === n) return old;
    this.names.length = 0;
    for (let f = old?.length ?? 0; f < n; f++) this.names.push(modules ? `${model.name(f)}\n${model.module(f)}` : model.name(f));
    const part = await this.run(pattern, this.names);
    const all = new Uint8Array(n);
    if (old) all.set(old);
    all.set(part, old?.length ?? 0);
    return this.keep(id, all);
  }

  private substring(model: Model, text: string): Uint8Array {
    const wanted = text.toLowerCase();
    return this.grow(model, `s${wanted}`, (f) => model.name(f).toLowerCase().includes(wanted) || model.module(f).toLowerCase().includes(wanted));
  }

  private grow(model: Model, id: string, test: (f: number) => boolean): Uint8Array {
    const old = this.kept.get(id), n = model.functions.n;
    if (old?.length === n) return old;
    const all = new Uint8Array(n);
    if (old) all.set(old);
    for (let f = old?.length ?? 0; f < n; f++) all[f] = Number(test(f));
    return this.keep(id, all);
  }

  private keep(id: string, found: Uint8Array): Uint8Array {
    this.kept.delete(id);
    this.kept.set(id, found);
    if (this.kept.size > 32) this.kept.delete(this.kept.keys().next().value!);
    return found;
  }
}

/** One byte for each name: whether a line of it matches. The search itself, without a guard. */
export function matches(pattern: string, names: string[]): Uint8Array {
  const re = new RegExp(pattern, 'imu');
  return Uint8Array.from(names, (name) => Number(re.test(name)));
}

/** Runs matches in a worker with the given script, which must answer {match} with what matches returns. */
export function guarded(script: string): (pattern: string, names: string[]) => Promise<Uint8Array> {
  return (pattern, names) => new Promise((resolve, reject) => {
    const worker = new Worker(script);
    const timer = setTimeout(() => {
      worker.terminate();
      reject(new Error(`${pattern.slice(0, 80)}: takes longer than ${patience / 1000} s`));
    }, patience);
    const done = () => {
      clearTimeout(timer);
      worker.terminate();
    };
    worker.onmessage = (e: MessageEvent<Uint8Array>) => {
      done();
      resolve(e.data);
    };
    worker.onerror = (e) => {
      done();
      reject(new Error(e.message || 'the search cannot be run'));
    };
    worker.postMessage({ match: pattern, names });
  });
}
