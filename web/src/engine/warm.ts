import { Core } from './core.ts';
import { defaultView } from './types.ts';

/**
 * Computes layouts of a small tree, so that what computes them is compiled when the first real one is asked for: half of the
 * time of a first layout of 100,000 nodes was spent in code that was not. Takes the worker less time than the page needs to
 * get its data.
 */
export async function warm(): Promise<void> {
  const core = new Core(async () => new Uint8Array());
  const nodes = 3000;
  const ids = Array.from({ length: nodes }, (_, i) => i);
  await core.load({
    version: 1, types: [{ type: 'samples', unit: 'count' }], strings: ['', ...ids.slice(0, 200).map((i) => `f${i}`)],
    frames: { name: ids.slice(0, 200).map((i) => i + 1) }, nodes: { parent: ids.map((i) => i - 1 - (i * 7) % Math.min(i || 1, 40)), frame: ids.map((i) => i % 200) },
    samples: { node: ids, values: [ids.map((i) => i % 13)] },
  });
  for (let i = 0; i < 8; i++) {
    core.generation++; // another tree each time
    await core.layout({ ...defaultView, order: i % 4 === 3 ? 'name' : 'value' });
  }
}
