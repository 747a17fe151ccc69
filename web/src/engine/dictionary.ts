import type { Frame, Frames } from './types.ts';

const unknown: Frame = { key: '', name: '', module: '', file: '', line: 0, kind: 'other', inlined: false };

/** The page's copy of the worker's functions. After the worker compacted its own it starts anew, with another epoch. */
export class Dictionary implements Frames {
  private list: Frame[] = [];

  constructor(readonly epoch: number) {}

  get length(): number { return this.list.length; }

  get(i: number): Frame { return this.list[i] ?? unknown; }

  /** Puts functions at first and after it: new ones, or a later state of old ones. */
  add(first: number, list: Frame[]): void {
    for (let i = 0; i < list.length; i++) this.list[first + i] = list[i]!;
  }
}
