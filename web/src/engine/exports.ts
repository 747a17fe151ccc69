import type { Core, Grown } from './core.ts';
import { gzip, numbered } from './protobuf.ts';
import { change, diffColour, oklch, tones } from './palette.ts';
import { kinds, type View } from './types.ts';

export { pprof } from './pprof.ts';
export interface SVGOptions { width?: number; icicle?: boolean; dark?: boolean; title?: string }

/** One line for each stack: frames from the root, and a whole number. */
export async function folded(core: Core, view: View): Promise<string> {
  const g = await core.grow({ ...view, diff: 'off' });
  const t = g.tree;
  const path = [''];
  const lines: string[] = [];
  for (let i = 1; i < t.n; i++) {
    const above = path[t.parent[i]!]!;
    const name = plain(core.model.name(t.fn[i]!) || '[unknown]').replaceAll(';', ':');
    path[i] = above ? `${above};${name}` : name;
    const value = Math.round(t.self[0].a[i]!);
    if (value !== 0) lines.push(`${path[i]} ${value}`);
  }
  return lines.join('\n') + (lines.length ? '\n' : '');
}

/** A name on one line. */
function plain(s: string): string { return s.replace(/[\u0000-\u001f\u007f]/g, ' '); }

export async function speedscope(core: Core, view: View): Promise<string> {
  const g = await core.grow({ ...view, diff: 'off' });
  const { tree: t } = g;
  const { about } = g.sides[0]!.samples;
  const type = about.types[g.sides[0]!.type]!;
  const samples: number[][] = [], weights: number[] = [];
  for (let i = 1; i < t.n; i++) {
    const value = t.self[0].a[i]!;
    if (value === 0) continue;
    const stack: number[] = [];
    for (let n = i; n > 0; n = t.parent[n]!) stack.push(t.fn[n]!);
    samples.push(stack.reverse());
    weights.push(value);
  }
  const frames = Array.from({ length: core.model.functions.n }, (_, f) => {
    const d = core.model.describe(f);
    return { name: d.name || '[unknown]', ...(d.file && { file: d.file }), ...(d.line && { line: d.line }) };
  });
  const units = { nanoseconds: 'nanoseconds', bytes: 'bytes' } as Record<string, string>;
  return JSON.stringify({
    $schema: 'https://www.speedscope.app/file-format-schema.json', exporter: 'ebpfprof', name: about.title || about.service || about.kind,
    shared: { frames },
    profiles: [{
      type: 'sampled', name: `${type.type} (${type.unit})`, unit: units[type.unit] ?? 'none', startValue: 0,
      endValue: weights.reduce((a, b) => a + b, 0), samples, weights,
    }],
  });
}

/** The view as a stacks document, in the bundle that the page as a file holds; threads, labels and times are kept. */
export async function doc(core: Core, view: View): Promise<Uint8Array<ArrayBuffer>> {
  const g = await core.grow({ ...view, group: 'none' });
  return gzip(new TextEncoder().encode(JSON.stringify({ documents: g.sides.map((_, side) => document(core, g, side)) })));
}

function document(core: Core, g: Grown, side: number): object {
  const { model } = core;
  const { samples: s, picked } = g.sides[side]!;
  const { about } = s;
  const t = g.tree;
  const { strings, string } = numbered();
  const frames = { name: [] as number[], module: [] as number[], file: [] as number[], line: [] as number[], kind: [] as number[], inlined: [] as number[] };
  const frameOf = new Int32Array(model.functions.n).fill(-1);
  const node = { parent: [-1], frame: [-1] };
  for (let i = 1; i < t.n; i++) {
    const f = t.fn[i]!;
    if (frameOf[f]! < 0) {
      const d = model.describe(f);
      frameOf[f] = frames.name.push(string(d.name)) - 1;
      frames.module.push(string(d.module));
      frames.file.push(string(d.file));
      frames.line.push(d.line);
      frames.kind.push(kinds.indexOf(d.kind as typeof kinds[number]));
      frames.inlined.push(Number(d.inlined));
    }
    node.parent.push(t.parent[i]!);
    node.frame.push(frameOf[f]!);
  }
  const out = { node: [] as number[], thread: [] as number[], label: [] as number[], stack: [] as number[], values: about.types.map(() => [] as number[]) };
  const times = { bucket_ms: 20, base: 0, sample: [] as number[], bucket: [] as number[], value: [] as number[] };
  const clock = core.clock ?? s.times;
  const rowTo = new Int32Array(s.n).fill(-1);
  for (let i = 0; i < picked.n; i++) {
    const row = picked.row[i]!;
    if (!g.grower.keeps(s.node.at(row))) continue;
    const own = s.values[g.sides[side]!.type]!.at(row), part = own ? picked.weight[i]! / own : 1;
    if (rowTo[row]! < 0) {
      rowTo[row] = out.node.push(g.grower.where(s.node.at(row))) - 1;
      out.thread.push(s.thread.at(row));
      out.label.push(s.label.at(row));
      out.stack.push(string(model.strings[s.stack.at(row)]!));
      for (const v of out.values) v.push(0);
    }
    s.values.forEach((v, k) => (out.values[k]![rowTo[row]!]! += v.at(row) * part));
    if (core.live) {
      times.sample.push(rowTo[row]!);
      times.bucket.push(s.bucket.at(row));
      times.value.push(s.values[about.default]!.at(row));
    }
  }
  if (s.times) {
    for (let i = 0; i < s.times.sample.n; i++) {
      const row = rowTo[s.times.sample.at(i)]!;
      if (row < 0) continue;
      times.sample.push(row);
      times.bucket.push(s.times.bucket.at(i));
      times.value.push(s.times.value.at(i));
    }
  }
  if (clock) Object.assign(times, { bucket_ms: clock.bucketMs, base: clock.base });
  const live = core.live?.state();
  const threads = {
    service: model.threads.map((x) => string(x.service)), comm: model.threads.map((x) => string(x.comm)),
    container: model.threads.map((x) => string(x.container)), pid: model.threads.map((x) => x.pid), tid: model.threads.map((x) => x.tid),
  };
  return {
    version: 1, kind: about.kind, service: about.service, title: about.title, types: about.types, default: about.default,
    from: picked.from || live?.from || undefined, to: picked.to || live?.to || undefined, duration_ns: about.durationNs,
    period: about.period, period_type: about.periodType, covered: about.covered, comments: about.comments, strings, frames, kinds,
    nodes: node, threads, labels: model.labels.map(({ key, value }) => ({ key, value })), labelsets: model.labelSets, samples: out,
    times: times.sample.length ? times : undefined, folded: live ? { nodes: live.foldedNodes, value: live.foldedValue } : about.folded,
  };
}

/** A drawing without scripts: what is at least a third of a pixel wide, with titles; of a difference with its colours. */
export async function svg(core: Core, view: View, o: SVGOptions): Promise<string> {
  const l = await core.layout(view);
  const width = Math.min(Math.max(o.width ?? 1200, 200), 20_000), row = 18, top = 30;
  const wide = (e: number) => l.w[e]! * width;
  let depth = 0;
  for (let d = 0; d + 1 < l.levels.length; d++) for (let e = l.levels[d]!; e < l.levels[d + 1]!; e++) if (wide(e) >= 0.33) depth = d;
  const height = top + (depth + 1) * row + 8;
  const about = core.sides[0]!.about;
  const title = o.title ?? [about.title || about.service || about.kind, `${l.type.type} in ${l.type.unit}`].filter(Boolean).join(': ');
  const [ink, paper, light] = o.dark ? ['#e8e8ea', '#17181b', 0.42] as const : ['#1b1b1f', '#ffffff', 0.84] as const;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui,sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="${paper}"/><text x="6" y="19" font-size="14" fill="${ink}">${escape(title)}</text>`,
  ];
  for (let d = 0; d <= depth; d++) {
    const y = o.icicle ? top + d * row : top + (depth - d) * row;
    for (let e = l.levels[d]!; e < l.levels[d + 1]!; e++) {
      if (wide(e) < 0.33) continue;
      const f = l.frame[e] === 0xffffffff ? null : core.model.describe(l.frame[e]!);
      const name = f ? f.name || '[unknown]' : 'all';
      const base = l.baseTotal?.[e];
      const percent = l.whole ? ` (${(100 * l.total[e]! / l.whole).toFixed(2)} %)` : '';
      const tone = tones[l.kind[e]!]!;
      const x = l.x[e]! * width, w = wide(e);
      const fit = Math.floor((w - 6) / 6.2);
      const label = fit < 3 ? '' : `<text x="${(x + 3).toFixed(1)}" y="${y + 12.5}" fill="${ink}">${escape(name.length <= fit ? name : `${name.slice(0, fit - 1)}\u2026`)}</text>`;
      out.push(`<g><title>${escape(`${name.slice(0, 2000)}\n${l.total[e]} ${l.type.unit}${percent}${base === undefined ? '' : `, before ${Math.round(base)}`}`)}</title><rect x="${x.toFixed(2)}" y="${y}" width="${Math.max(0.2, w - 0.4).toFixed(2)}" height="${row - 1}" fill="${base === undefined ? oklch(light, f ? tone.chroma : 0, tone.hue) : diffColour(change(l.total[e]!, base), light)}"/>${label}</g>`);
    }
  }
  out.push('</svg>\n');
  return out.join('\n');
}

/** Text in XML 1.0: without what it cannot hold, and with overrides of direction made visible. */
function escape(s: string): string {
  return s.replace(/[\u0000-\u0008\u000b-\u001f\u007f\ufffe\uffff\u202a-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd')
    .replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
