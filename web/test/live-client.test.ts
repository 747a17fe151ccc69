import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { LiveLine } from '../src/engine/types.ts';
import { LiveClient, type LiveState } from '../src/live.ts';

test('a line that cannot be read breaks the stream, which is opened again', async () => {
  const scope = globalThis as unknown as { window: unknown; fetch: unknown }, { fetch } = scope;
  scope.window = globalThis;
  let opened = 0;
  const states: LiveState[] = [], taken: string[] = [];
  scope.fetch = (_url: string, o: { signal: AbortSignal }) => {
    const lines = opened++ ? 'good\n' : 'good\nbad\nafter\n';
    const body = new ReadableStream<Uint8Array>({
      start(c) {
        c.enqueue(new TextEncoder().encode(lines));
        o.signal.addEventListener('abort', () => c.error(new Error('aborted')));
      },
    });
    return Promise.resolve(new Response(body));
  };
  await new Promise<void>((resolve) => {
    const client = new LiveClient({
      since: () => 'now', open: () => undefined, change: (s) => { states.push(s); },
      line: async (text) => {
        if (text !== 'good') throw new Error('of what is it?');
        taken.push(text);
        if (opened === 2) setTimeout(() => { client.stop(); resolve(); });
        return { type: text };
      },
    });
    client.start('cpu');
  });
  scope.fetch = fetch;
  const broken = states.filter((s) => s.is === 'broken');
  assert.deepEqual(broken.map((s) => s.error), ['a line cannot be read: of what is it?']);
  assert.equal(opened, 2);
  assert.deepEqual(taken, ['good', 'good']);
});

/** A daemon whose streams the test writes, in time that the test makes pass. */
function daemon(): { client: LiveClient; urls: string[]; states: string[]; say(m: LiveLine): Promise<void>; pass(ms: number): Promise<void>; end(): void } {
  const scope = globalThis as unknown as { window: unknown; fetch: unknown }, { fetch } = scope;
  scope.window = globalThis;
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_772_600_767_000 });
  const urls: string[] = [], states: string[] = [];
  let out: ReadableStreamDefaultController<Uint8Array>;
  scope.fetch = (url: string, o: { signal: AbortSignal }) => {
    urls.push(url);
    const body = new ReadableStream<Uint8Array>({
      start(c) {
        out = c;
        o.signal.addEventListener('abort', () => c.error(o.signal.reason));
      },
    });
    return Promise.resolve(new Response(body));
  };
  const settle = () => new Promise<void>((r) => setImmediate(r));
  const client: LiveClient = new LiveClient({
    since: () => String(client.end), open: () => undefined, line: async (text) => JSON.parse(text) as LiveLine,
    change: (s) => { states.push(s.is === 'broken' ? `broken: ${s.error}` : s.is); },
  });
  return {
    client, urls, states,
    say: async (m) => { out.enqueue(new TextEncoder().encode(JSON.stringify(m) + '\n')); await settle(); },
    pass: async (ms) => { mock.timers.tick(ms); await settle(); await settle(); },
    end() { client.stop(); mock.timers.reset(); scope.fetch = fetch; },
  };
}

test('heartbeats without batches: the page waits, and asks for what came after the last batch', async () => {
  const d = daemon();
  d.client.start('cpu');
  await d.pass(0);
  await d.say({ type: 'batch', end: 5000 });
  await d.pass(3000);
  assert.equal(d.client.waiting, 0);
  for (let i = 0; i < 12; i++) {
    await d.pass(5000);
    await d.say({ type: 'heartbeat', time: 10_000 + i * 5000 });
  }
  assert.deepEqual([d.client.waiting, d.client.end, d.client.state.is, d.urls.length], [63_000, 5000, 'on', 1]);
  await d.pass(20_000); // nothing at all now
  assert.equal(d.states.at(-1), 'broken: nothing came for 20 s');
  assert.equal(d.client.waiting, 0, 'what it says is that it broke');
  await d.pass(1000);
  assert.deepEqual([d.urls.length, d.urls[1]!.endsWith('since=5000')], [2, true]);
  await d.say({ type: 'batch', end: 6000 });
  assert.deepEqual([d.client.waiting, d.client.end, d.client.state.is], [0, 6000, 'on']);
  d.end();
});

test('a daemon that takes the connection and does not answer is asked again', async () => {
  const d = daemon(), scope = globalThis as unknown as { fetch: unknown };
  const asked: AbortSignal[] = [];
  scope.fetch = (_: string, o: { signal: AbortSignal }) => new Promise((_, reject) => {
    asked.push(o.signal);
    o.signal.addEventListener('abort', () => reject(o.signal.reason as Error));
  });
  d.client.start('cpu');
  await d.pass(10_000);
  assert.deepEqual([d.client.waiting, d.client.state.is], [10_000, 'connecting']);
  await d.pass(10_000);
  assert.equal(d.states.at(-1), 'broken: nothing came for 20 s');
  await d.pass(1000);
  assert.deepEqual([asked.length, asked[0]!.aborted, asked[1]!.aborted], [2, true, false]);
  d.end();
});
