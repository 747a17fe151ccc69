// How much over time: a lane for each kind of event, or for each service. What is brushed becomes the flame graph below.

import * as api from '../api.ts';
import type { App, Panel } from '../app.ts';
import { Brush } from '../brush.ts';
import { announce, button, colour, fill, fit, h, nameText, setText } from '../dom.ts';
import type { Layout } from '../engine/engine.ts';
import { isLive } from '../state.ts';
import { clock, kindLabel, span, value } from '../units.ts';

interface Lane { el: HTMLElement; canvas: HTMLCanvasElement; note: HTMLElement; kind: string; service: string; data: api.Timeline | null }

const laneHeight = 34, mostServices = 12, every = 10_000;

export class TimelinePanel implements Panel {
  readonly chart = true;
  readonly el: HTMLElement;
  private lanes: Lane[] = [];
  private body = h('div');
  private note = h('div', { class: 'note', hidden: true });
  private axis = h('div', { class: 'lane axis muted' });
  private hint = h('span', { class: 'muted' });
  private lanesOf = '';
  private loaded = 0;
  private opened = 0;
  private abort: AbortController | null = null;
  private marked: [number, number] | null = null; // Unix ms
  private range: [number, number] = [0, 0];

  constructor(private app: App, private kinds: () => api.Kind[]) {
    const zoomOut = button({ label: 'Wider', title: 'Twice as long a span', run: () => this.widen() });
    this.el = h('div', { class: 'view' }, this.note, h('div', { class: 'lanes' }, this.body, this.axis),
      h('div', { class: 'sides' }, h('span', {}, 'Drag over a lane to choose a span; a press on one part chooses it alone.'), zoomOut, this.hint));
    new ResizeObserver(() => this.draw()).observe(this.el);
  }

  update(layout: Layout | null): void {
    if (this.app.session.file) {
      this.note.hidden = false;
      this.el.replaceChildren(this.note);
      fill(this.note, 'A file is one span of time without the history around it, so it has no timeline. The daemon\'s page has one.');
      return;
    }
    const s = this.app.store.state;
    const key = [s.kind, s.service, this.kinds().map((k) => k.name)].join('|');
    const stale = Date.now() - this.loaded > every && isLive(s);
    this.opened ||= Date.now();
    // The first samples of a stream tell which services are the heaviest; but not for ever is there one.
    const ready = (layout && layout.whole > 0) || Date.now() - this.opened > 2500;
    if (ready && (key !== this.lanesOf || stale || this.outside())) void this.load(key);
    this.draw();
  }

  leave(): void { this.abort?.abort(); this.abort = null; this.loaded = this.opened = 0; }

  /** Whether what is shown elsewhere is not within the lanes. */
  private outside(): boolean {
    const w = this.app.session.window();
    return !!w && !isLive(this.app.store.state) && this.range[1] > 0 && (w.from < this.range[0] - 1000 || w.to > this.range[1] + 60_000);
  }

  /** The lanes show more than the chosen span, so that there is something to choose from. */
  private context(): [number, number] {
    const now = this.app.session.now, s = this.app.store.state;
    if (isLive(s)) return [now - 15 * 60_000, now];
    const from = api.instant(s.from, now), to = api.instant(s.to, now);
    const length = Math.max(15 * 60_000, 3 * (to - from));
    const end = Math.min(now, Math.max(to, (from + to) / 2 + length / 2));
    return [end - length, end];
  }

  /** A daemon that has just begun knows little of a quarter of an hour: what it knows has the whole width then. */
  private async known([from, to]: [number, number], signal: AbortSignal): Promise<[number, number]> {
    const t = await api.timeline({ kind: this.app.store.state.kind, from: api.seconds(from), to: api.seconds(to), buckets: 60 }, signal).catch(() => null);
    const i = t ? t.values.findIndex((v) => v !== null) : -1;
    if (i < 30) return [from, to];
    return [Math.min(from + i * t!.bucket_seconds * 1000, this.app.session.window()?.from ?? to, to - 60_000), to];
  }

  private async load(key: string, chosen?: [number, number]): Promise<void> {
    this.abort?.abort();
    const abort = this.abort = new AbortController(), s = this.app.store.state;
    this.loaded = Date.now();
    const range = chosen ?? await this.known(this.context(), abort.signal);
    if (abort.signal.aborted) return;
    this.range = range;
    if (key !== this.lanesOf) {
      this.lanesOf = key;
      const list: [string, string][] = this.kinds().map((k) => [k.name, s.service]);
      if (!s.service) {
        const services = await this.heaviest(range, abort.signal);
        for (const one of services.slice(0, mostServices)) list.push([s.kind, one]);
        setText(this.hint, services.length > mostServices ? `${services.length - mostServices} more services: choose one above` : '');
      }
      if (abort.signal.aborted) return;
      this.lanes = list.map(([kind, service]) => this.lane(kind, service));
      fill(this.body, ...this.lanes.map((l) => l.el));
    }
    const buckets = Math.max(60, Math.min(600, Math.round((this.el.clientWidth - 180) / 4)));
    for (const lane of this.lanes) {
      if (abort.signal.aborted) return;
      try {
        lane.data = await api.timeline({ kind: lane.kind, service: lane.service, from: api.seconds(range[0]), to: api.seconds(range[1]), buckets }, abort.signal);
        setText(lane.note, this.noteOf(lane));
        // A service that is read and has nothing is none of that runtime's: it has no lane, not one at zero.
        lane.el.hidden = lane.kind !== s.kind && !lane.data.values.some((v) => v) && this.kinds().some((k) => k.name === lane.kind && k.live === false);
      } catch (e) {
        if (abort.signal.aborted) return;
        setText(lane.note, e instanceof Error ? e.message : String(e));
      }
    }
    this.draw();
  }

  /** Services, those first that have most of what is loaded. */
  private async heaviest(range: [number, number], signal: AbortSignal): Promise<string[]> {
    const { engine, session, store } = this.app;
    const [known, lists] = await Promise.all([
      api.services({ kind: store.state.kind, from: api.seconds(range[0]), to: api.seconds(range[1]) }, signal).catch(() => []),
      engine.lists(session.view()).catch(() => null),
    ]);
    return [...new Set([...(lists?.services ?? []).map((i) => i.key), ...known.map((s) => s.name)])];
  }

  private noteOf(lane: Lane): string {
    const d = lane.data!, known = d.values.filter((v): v is number => v !== null);
    if (known.length === 0) return 'nothing is known';
    const level = this.kinds().some((k) => k.name === lane.kind && k.merge === 'mean'), most = Math.max(...known);
    return level ? `most ${value(most, d.unit)}` : `most ${value(most / d.bucket_seconds, d.unit)} a second`;
  }

  private lane(kind: string, service: string): Lane {
    const canvas = h('canvas', { role: 'slider', 'aria-label': `${kindLabel(kind)} of ${service || 'all services'} over time; arrows choose a span, Enter takes it`, 'aria-valuetext': '' });
    const note = h('small', {});
    const el = h('div', { class: 'lane' }, h('div', { class: 'label' }, service && service !== this.app.store.state.service ? nameText(service, 40) : kindLabel(kind), note), canvas);
    const lane: Lane = { el, canvas, note, kind, service, data: null };
    const at = (x: number) => this.range[0] + x * (this.range[1] - this.range[0]);
    new Brush(canvas, {
      steps: () => lane.data?.values.length ?? 100,
      change: (a, b) => { this.marked = [at(a), at(b)]; canvas.setAttribute('aria-valuetext', span(at(a), at(b))); this.draw(); },
      done: (a, b) => this.take(lane, at(a), at(b)),
    });
    canvas.addEventListener('pointermove', (e) => this.point(lane, e.offsetX / (canvas.clientWidth || 1)));
    return lane;
  }

  private point(lane: Lane, x: number): void {
    const d = lane.data;
    if (!d) return;
    const i = Math.max(0, Math.min(d.values.length - 1, Math.floor(x * d.values.length))), v = d.values[i];
    const from = this.range[0] + i * d.bucket_seconds * 1000;
    const lost = d.lost[i] ? `, ${d.lost[i]} events lost` : '';
    setText(this.hint, `${span(from, from + d.bucket_seconds * 1000)}: ${v === null || v === undefined ? 'not known' : value(v, d.unit)}${lost}`);
  }

  private take(lane: Lane, from: number, to: number): void {
    this.marked = null;
    const d = lane.data, step = (d?.bucket_seconds ?? 1) * 1000;
    // A press without a drag is one part; no span is shorter than the parts that are known.
    const a = this.range[0] + Math.floor((from - this.range[0]) / step) * step;
    const b = Math.max(a + step, this.range[0] + Math.ceil((to - this.range[0]) / step) * step);
    announce(`Chosen: ${span(a, b)}`);
    this.app.store.set({ from: api.seconds(a), to: api.seconds(b), kind: lane.kind, service: lane.service, selectFrom: 0, selectTo: 0, zoom: [] });
  }

  private widen(): void {
    const [from, to] = this.range, length = (to - from) * 2, end = Math.min(this.app.session.now, to + (to - from) / 2);
    void this.load(this.lanesOf, [end - length, end]);
  }

  private draw(): void {
    const w = this.app.session.window();
    for (const lane of this.lanes) drawLane(lane, this.range, this.marked ?? (w ? [w.from, w.to] : null));
    const [from, to] = this.range;
    if (to > 0) fill(this.axis, h('span', {}), ticks(from, to));
  }
}

function ticks(from: number, to: number): HTMLElement {
  const e = h('span', { class: 'scale' });
  for (let i = 0; i <= 4; i++) e.append(h('span', {}, clock(from + (to - from) * i / 4)));
  return e;
}

function drawLane(lane: Lane, [from, to]: [number, number], mark: [number, number] | null): void {
  const f = fit(lane.canvas, laneHeight);
  if (!f) return;
  const { g, w, h: height } = f, d = lane.data;
  if (d) {
    const most = Math.max(1, ...d.values.map((v) => v ?? 0)), step = w / d.values.length;
    const accent = colour('accent'), unknown = colour('strong'), bad = colour('bad');
    d.values.forEach((v, i) => {
      if (v === null) {
        hatch(g, i * step, step, height, unknown);
        return;
      }
      const bar = v / most * (height - 3);
      g.fillStyle = accent;
      g.fillRect(i * step, height - Math.max(bar, v > 0 ? 1 : 0), Math.max(1, step - 0.5), bar);
      if (d.lost[i]) { g.fillStyle = bad; g.fillRect(i * step, 0, Math.max(1, step - 0.5), 2); }
    });
  }
  g.fillStyle = colour('line');
  g.fillRect(0, height - 1, w, 1);
  if (!mark) return;
  const a = (mark[0] - from) / (to - from) * w, b = (mark[1] - from) / (to - from) * w;
  g.globalAlpha = 0.16;
  g.fillStyle = colour('text');
  g.fillRect(a, 0, Math.max(2, b - a), height);
  g.globalAlpha = 1;
  g.fillRect(a, 0, 1, height);
  g.fillRect(Math.max(a + 1, b - 1), 0, 1, height);
}

/** What is not known looks like nothing that is measured. */
function hatch(g: CanvasRenderingContext2D, x: number, w: number, height: number, stroke: string): void {
  g.save();
  g.beginPath();
  g.rect(x, 0, w + 0.5, height);
  g.clip();
  g.strokeStyle = stroke;
  g.globalAlpha = 0.4;
  g.beginPath();
  for (let k = Math.floor((x - height) / 7) * 7; k < x + w; k += 7) { g.moveTo(k, height); g.lineTo(k + height, 0); }
  g.stroke();
  g.restore();
}

/** A line of values without axes, for a list of services. */
export function sparkline(canvas: HTMLCanvasElement, values: (number | null)[]): void {
  const f = fit(canvas, 24);
  if (!f || values.length === 0) return;
  const { g, w, h: height } = f, most = Math.max(1, ...values.map((v) => v ?? 0)), step = w / values.length;
  g.fillStyle = colour('accent');
  values.forEach((v, i) => {
    if (v === null) return hatch(g, i * step, step, height, colour('strong'));
    if (v > 0) g.fillRect(i * step, height - Math.max(1, v / most * height), Math.max(1, step - 0.5), height);
  });
}
