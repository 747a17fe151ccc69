// The live stream: one JSON object a line over a long answer, opened again with growing pauses when it breaks.

import { address, APIError, request } from './api.ts';
import type { LiveLine } from './engine/engine.ts';

export type LiveState =
  | { is: 'off' } | { is: 'connecting' } | { is: 'on' }
  | { is: 'broken'; error: string; retryAt: number }
  | { is: 'refused'; error: string };

/** A line is a quarter of a second of samples. What is longer is not of this stream. */
const longestLine = 64 << 20;
/** A connection that held for so long was a good one: the next pause is short again. */
const steady = 5000;
/** Heartbeats come every five seconds, the first answer within ten; after this long without a byte the connection is dead. */
const silence = 20_000;
/** Batches come four times a second, empty ones too; after this long without one their maker is busy. */
const late = 4000;

export class LiveClient {
  private abort: AbortController | null = null;
  private timer = 0;
  private watchdog = 0;
  private attempt = 0;
  private query: { kind: string } = { kind: '' };
  private heard = 0; // when the newest batch came, or its wait began
  state: LiveState = { is: 'off' };
  /** Unix ms by the daemon's clock: the end of the newest batch. Heartbeats say nothing of what was sampled. */
  end = 0;

  constructor(private o: { since(): string; line(text: string): Promise<LiveLine>; open(): void; change(s: LiveState): void }) {}

  /** For how many ms there has been a connection, or an attempt at one, without samples; 0: not for longer than usual. */
  get waiting(): number {
    const ms = this.state.is === 'on' || this.state.is === 'connecting' ? Date.now() - this.heard : 0;
    return ms > late ? ms : 0;
  }

  start(kind: string): void {
    this.stop();
    this.end = 0;
    this.heard = Date.now();
    this.query = { kind };
    this.attempt = 0;
    void this.run();
  }

  stop(): void {
    this.abort?.abort();
    this.abort = null;
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.to({ is: 'off' });
  }

  /** Does not wait for the pause before the next attempt. */
  retry(): void {
    if (this.state.is !== 'broken') return;
    clearTimeout(this.timer);
    void this.run();
  }

  private to(s: LiveState): void {
    this.state = s;
    this.o.change(s);
  }

  private async run(): Promise<void> {
    const abort = this.abort = new AbortController();
    if (this.attempt === 0) this.to({ is: 'connecting' });
    this.watch(abort);
    try {
      const r = await this.connect(abort.signal);
      if (abort !== this.abort) return;
      this.o.open();
      this.heard = Date.now();
      this.to({ is: 'on' });
      await this.read(r.body!.getReader(), abort);
      throw new APIError(0, 'the stream ended');
    } catch (e) {
      clearTimeout(this.watchdog);
      if (abort !== this.abort) return;
      abort.abort();
      this.fail(e);
    }
  }

  /** Gives the connection up unless something comes. */
  private watch(abort: AbortController): void {
    clearTimeout(this.watchdog);
    this.watchdog = window.setTimeout(() => abort.abort(new APIError(0, `nothing came for ${silence / 1000} s`)), silence);
  }

  private took(m: LiveLine, abort: AbortController): void {
    if (abort !== this.abort || m.type !== 'batch') return;
    this.heard = Date.now();
    this.end = Math.max(this.end, m.end ?? 0);
  }

  /** What follows a line that cannot be read rests on it: a new stream begins with all that is needed. */
  private unreadable(e: unknown, abort: AbortController): void {
    if (abort !== this.abort) return;
    this.abort = null;
    clearTimeout(this.watchdog);
    abort.abort();
    this.fail(new APIError(0, `a line cannot be read: ${e instanceof Error ? e.message : String(e)}`));
  }

  /** An older daemon knows no `since`: then the stream begins now. */
  private async connect(signal: AbortSignal): Promise<Response> {
    try {
      return await request(address('live', { ...this.query, since: this.o.since() }), signal);
    } catch (e) {
      if (!(e instanceof APIError) || e.parameter !== 'since') throw e;
      return request(address('live', this.query), signal);
    }
  }

  private fail(e: unknown): void {
    const error = e instanceof Error ? e.message : String(e);
    if (e instanceof APIError && e.status >= 400 && e.status < 500) {
      this.to({ is: 'refused', error });
      // A daemon that has just begun samples nothing yet, and what it says of that is the same.
      this.timer = window.setTimeout(() => void this.run(), 3000);
      return;
    }
    const pause = Math.min(30_000, 500 * 2 ** this.attempt) * (0.75 + Math.random() / 2);
    this.attempt = Math.min(this.attempt + 1, 10);
    this.to({ is: 'broken', error, retryAt: Date.now() + pause });
    this.timer = window.setTimeout(() => void this.run(), pause);
  }

  private async read(reader: ReadableStreamDefaultReader<Uint8Array>, abort: AbortController): Promise<void> {
    const decoder = new TextDecoder(), began = Date.now();
    let parts: string[] = [], held = 0;
    for (;;) {
      this.watch(abort);
      const { done, value } = await reader.read();
      if (done || abort !== this.abort) return;
      if (Date.now() - began > steady) this.attempt = 0;
      const text = decoder.decode(value, { stream: true });
      let from = 0;
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
        parts.push(text.slice(from, at));
        const line = parts.join('');
        parts = [];
        held = 0;
        from = at + 1;
        if (line) this.o.line(line).then((m) => this.took(m, abort), (e: unknown) => this.unreadable(e, abort));
        if (abort !== this.abort) return;
      }
      if (from < text.length) parts.push(text.slice(from));
      if ((held += text.length - from) > longestLine) throw new APIError(0, 'the stream sent a line that does not end');
    }
  }
}
