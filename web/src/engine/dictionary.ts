import { keyOf } from './key.ts';
import type { Model } from './model.ts';
import { kinds, type Frame, type Frames } from './types.ts';

const unknown: Frame = { key: '', name: '', module: '', file: '', line: 0, kind: 'other', inlined: false };

/**
 * Functions on their way to the page: one text and numbers. Thousands of objects would take it tens of milliseconds to
 * receive, all at once; these take none, and become objects one by one when they are drawn.
 */
export interface Parcel {
  epoch: number;
  first: number;
  text: string; // all strings, after one another
  ends: Uint32Array; // of each string
  rows: Int32Array; // of each function the strings that are its name, module and file, the line, kind * 2 + inlined
}

const columns = 5;

export function parcel(model: Model, epoch: number, first: number): Parcel {
  const n = model.functions.n - first, rows = new Int32Array(n * columns);
  const strings: string[] = [], ends: number[] = [], ids = new Int32Array(model.strings.length); // number here + 1
  let end = 0;
  const string = (s: number) => {
    if (!ids[s]) {
      const text = model.strings[s]!;
      ids[s] = strings.push(text);
      ends.push(end += text.length);
    }
    return ids[s]! - 1;
  };
  for (let i = 0; i < n; i++) {
    const f = first + i, frame = model.firstFrame(f);
    rows.set([string(model.functions.a.at(f)), string(model.functions.b.at(f)), string(model.fileOf(frame)), model.lineOf(frame),
      model.kindOf(frame) * 2 + Number(model.inlined(frame))], i * columns);
  }
  return { epoch, first, text: strings.join(''), ends: Uint32Array.from(ends), rows };
}

/** The page's copy of the worker's functions. After the worker compacted its own it starts anew, with another epoch. */
export class Dictionary implements Frames {
  private list: Frame[] = [];
  private parcels: Parcel[] = [];

  constructor(readonly epoch: number) {}

  get length(): number {
    const last = this.parcels.at(-1);
    return last ? last.first + last.rows.length / columns : 0;
  }

  get(i: number): Frame { return this.list[i] ?? this.unpack(i); }

  /** Parcels come in the order of their functions. */
  add(p: Parcel): void { this.parcels.push(p); }

  private unpack(i: number): Frame {
    if (!(i < this.length)) return unknown;
    let lo = 0, hi = this.parcels.length;
    while (hi - lo > 1) {
      const mid = (lo + hi) >>> 1;
      if (this.parcels[mid]!.first <= i) lo = mid;
      else hi = mid;
    }
    const { first, text, ends, rows } = this.parcels[lo]!;
    const [n, m, f, line, kind] = rows.subarray((i - first) * columns, (i - first + 1) * columns) as unknown as [number, number, number, number, number];
    const string = (s: number) => text.slice(s && ends[s - 1], ends[s]);
    const name = string(n), module = string(m);
    return (this.list[i] = { key: keyOf(name, module), name, module, file: string(f), line, kind: kinds[kind >> 1]!, inlined: (kind & 1) === 1 });
  }
}
