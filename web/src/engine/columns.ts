// Columns that grow, and a hash table over two of them. There is no object for each row anywhere in the engine.

export class Ints {
  a = new Int32Array(16);
  n = 0;

  push(v: number): void {
    if (this.n === this.a.length) this.grow(this.n * 2);
    this.a[this.n++] = v;
  }

  at(i: number): number { return this.a[i]!; }

  /** Makes room for n rows in all. */
  reserve(n: number): void { if (n > this.a.length) this.grow(Math.max(n, this.a.length * 2)); }

  /** Drops the first rows. */
  drop(rows: number): void {
    this.a.copyWithin(0, rows, this.n);
    this.n -= rows;
    if (this.n * 4 < this.a.length && this.a.length > 1024) this.a = this.a.slice(0, this.a.length >> 1);
  }

  private grow(size: number): void {
    const old = this.a;
    this.a = new Int32Array(size);
    this.a.set(old);
  }
}

export class Floats {
  a = new Float64Array(16);
  n = 0;

  push(v: number): void {
    if (this.n === this.a.length) {
      const old = this.a;
      this.a = new Float64Array(this.n * 2);
      this.a.set(old);
    }
    this.a[this.n++] = v;
  }

  at(i: number): number { return this.a[i]!; }

  drop(rows: number): void {
    this.a.copyWithin(0, rows, this.n);
    this.n -= rows;
    if (this.n * 4 < this.a.length && this.a.length > 1024) this.a = this.a.slice(0, this.a.length >> 1);
  }
}

/** Numbers pairs of numbers by the order in which they come. Open addressing, linear probing, at most half full. */
export class Pairs {
  readonly a = new Ints();
  readonly b = new Ints();
  private slots = new Int32Array(64).fill(-1);
  loose = false; // not all are in slots

  get n(): number { return this.a.n; }

  /** Makes room for n pairs in all, of which most will be there. */
  reserve(n: number): void {
    this.a.reserve(n);
    this.b.reserve(n);
    let size = this.slots.length;
    while (n * 2 > size) size *= 2;
    if (size > this.slots.length) this.rehash(size);
  }

  /** Adds a pair that is known to be new. Until the next intern, find goes through all of them. */
  append(a: number, b: number): void {
    this.a.push(a);
    this.b.push(b);
    this.loose = true;
  }

  /** The number of a pair, which is new if it is what n was before. */
  intern(a: number, b: number): number {
    if (this.loose) {
      this.loose = false;
      let size = this.slots.length;
      while (this.n * 2 > size) size *= 4;
      this.rehash(size);
    }
    const { slots } = this;
    const mask = slots.length - 1;
    let i = hash(a, b) & mask;
    for (let id = slots[i]!; id >= 0; id = slots[i]!) {
      if (this.a.a[id] === a && this.b.a[id] === b) return id;
      i = (i + 1) & mask;
    }
    const id = this.a.n;
    slots[i] = id;
    this.a.push(a);
    this.b.push(b);
    if (this.a.n * 2 > slots.length) this.rehash(slots.length * 4);
    return id;
  }

  /** -1: not there. */
  find(a: number, b: number): number {
    if (this.loose) {
      for (let id = 0; id < this.n; id++) if (this.a.a[id] === a && this.b.a[id] === b) return id;
      return -1;
    }
    const mask = this.slots.length - 1;
    let i = hash(a, b) & mask;
    for (let id = this.slots[i]!; id >= 0; id = this.slots[i]!) {
      if (this.a.a[id] === a && this.b.a[id] === b) return id;
      i = (i + 1) & mask;
    }
    return -1;
  }

  private rehash(size: number): void {
    const slots = new Int32Array(size).fill(-1);
    const mask = size - 1;
    for (let id = 0; id < this.a.n; id++) {
      let i = hash(this.a.a[id]!, this.b.a[id]!) & mask;
      while (slots[i]! >= 0) i = (i + 1) & mask;
      slots[i] = id;
    }
    this.slots = slots;
  }
}

function hash(a: number, b: number): number {
  let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
  h ^= h >>> 15;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 13);
}
