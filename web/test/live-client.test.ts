import assert from 'node:assert/strict';
import { test } from 'node:test';
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
        if (opened < 2) return;
        setTimeout(() => { client.stop(); resolve(); });
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
