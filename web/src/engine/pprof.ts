import type { Core } from './core.ts';
import { gzip, Message, numbered } from './protobuf.ts';
import type { View } from './types.ts';

/**
 * The view as a pprof profile (proto/profile.proto of google/pprof), gzipped: all sample types, threads and labels as ours
 * have them. Functions have no addresses, so each is a location of its own.
 */
export async function pprof(core: Core, view: View): Promise<Uint8Array<ArrayBuffer>> {
  const g = await core.grow({ ...view, group: 'none', diff: 'off' });
  const { model } = core, { samples: s, picked, type } = g.sides[0]!, { about } = s, t = g.tree;
  const out = new Message();
  const { strings, string } = numbered();
  const valueType = (v: { type: string; unit: string }) => new Message().int(1, string(v.type)).int(2, string(v.unit));
  for (const v of about.types) out.message(1, valueType(v));
  const used = new Uint8Array(model.functions.n);
  for (let i = 0; i < picked.n; i++) {
    const row = picked.row[i]!;
    if (!g.grower.keeps(s.node.at(row))) continue;
    const stack: number[] = [];
    for (let n = g.grower.where(s.node.at(row)); n > 0; n = t.parent[n]!) {
      stack.push(t.fn[n]! + 1);
      used[t.fn[n]!] = 1;
    }
    const own = s.values[type]!.at(row), part = own ? picked.weight[i]! / own : 1;
    const sample = new Message().ints(1, stack).ints(2, s.values.map((v) => Math.round(v.at(row) * part)));
    const text = (key: string, value: string) => value && sample.message(3, new Message().int(1, string(key)).int(2, string(value)));
    const number = (key: string, value: number) => value && sample.message(3, new Message().int(1, string(key)).int(3, value));
    const thread = model.threads[s.thread.at(row)];
    if (thread) {
      text('service', thread.service);
      text('comm', thread.comm);
      text('container', thread.container);
      number('pid', thread.pid);
      number('tid', thread.tid);
    }
    for (const l of model.labelSets[s.label.at(row)] ?? []) text(model.labels[l]!.key, model.labels[l]!.value);
    text('stack', model.strings[s.stack.at(row)]!);
    out.message(2, sample);
  }
  const modules = new Map<string, number>();
  for (let f = 0; f < used.length; f++) {
    if (!used[f]) continue;
    const d = model.describe(f);
    let mapping = 0;
    if (d.module) {
      mapping = modules.get(d.module) ?? modules.size + 1;
      if (mapping > modules.size) {
        modules.set(d.module, mapping);
        out.message(3, new Message().int(1, mapping).int(5, string(d.module)).int(7, 1));
      }
    }
    out.message(4, new Message().int(1, f + 1).int(2, mapping).message(4, new Message().int(1, f + 1).int(2, d.line)));
    out.message(5, new Message().int(1, f + 1).int(2, string(d.name)).int(3, string(d.name)).int(4, string(d.file)));
  }
  const comments = about.comments.map(string);
  if (about.periodType) out.message(11, valueType(about.periodType));
  const defaultType = string(about.types[about.default]!.type);
  for (const x of strings) out.string(6, x);
  if (picked.from) out.int(9, Math.round(picked.from) * 1e6); // above 2^53: right to a microsecond
  return gzip(out.int(10, Math.round(about.durationNs ?? 0)).int(12, about.period ?? 0).ints(13, comments).int(14, defaultType).done());
}
