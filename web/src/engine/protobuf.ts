/** Numbers strings in the order in which they come; "" is 0. */
export function numbered(): { strings: string[]; string(s: string): number } {
  const strings = [''], ids = new Map<string, number>([['', 0]]);
  const string = (s: string) => {
    let id = ids.get(s);
    if (id === undefined) ids.set(s, (id = strings.push(s) - 1));
    return id;
  };
  return { strings, string };
}

/** A message of protocol buffers that is being written: varints and length-delimited fields, which is all that pprof needs. */
export class Message {
  private a = new Uint8Array(64);
  private n = 0;

  /** A field of a signed or unsigned whole number below 2^53 in size; 0 is left out, as proto3 has it. */
  int(field: number, v: number): this {
    if (v === 0) return this;
    this.varint(field * 8);
    return this.varint(v);
  }

  ints(field: number, list: number[]): this {
    if (list.length === 0) return this;
    const packed = new Message();
    for (const v of list) packed.varint(v);
    return this.message(field, packed);
  }

  string(field: number, s: string): this { return this.bytes(field, new TextEncoder().encode(s)); }

  message(field: number, m: Message): this { return this.bytes(field, m.done()); }

  done(): Uint8Array<ArrayBuffer> { return this.a.subarray(0, this.n); }

  private bytes(field: number, b: Uint8Array): this {
    this.varint(field * 8 + 2).varint(b.length);
    this.room(b.length);
    this.a.set(b, this.n);
    this.n += b.length;
    return this;
  }

  private varint(v: number): this {
    this.room(10);
    let low: number, high: number; // of the two's complement in 64 bits
    if (v < 0) {
      low = (-v % 0x100000000) >>> 0;
      high = Math.floor(-v / 0x100000000) >>> 0;
      low = (~low + 1) >>> 0;
      high = (~high + (low === 0 ? 1 : 0)) >>> 0;
    } else {
      low = v >>> 0;
      high = Math.floor(v / 0x100000000);
    }
    while (high > 0 || low > 127) {
      this.a[this.n++] = (low & 127) | 128;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.a[this.n++] = low;
    return this;
  }

  private room(more: number): void {
    if (this.n + more <= this.a.length) return;
    const old = this.a;
    this.a = new Uint8Array(Math.max(this.n + more, old.length * 2));
    this.a.set(old);
  }
}

export async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
