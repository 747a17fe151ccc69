// When within each second: columns are seconds, rows its buckets of 20 ms. What is chosen becomes the flame graph below.

import type { App, Panel } from '../app.ts';
import { Brush } from '../brush.ts';
import { announce, button, colour, fill, fit, h, setText } from '../dom.ts';
import type { Heatmap, Layout } from '../engine/engine.ts';
import { clock, span, value } from '../units.ts';

const height = 200;

export class HeatmapPanel implements Panel {
  readonly chart = true;
  readonly el: HTMLElement;
  private canvas = h('canvas', { role: 'slider', 'aria-label': 'Heat map: columns are seconds, rows are parts of a second; arrows choose a span, Enter takes it', 'aria-valuetext': '' });
  private note = h('div', { class: 'note', hidden: true });
  private hint = h('span', {});
  private axis = h('div', { class: 'scale' });
  private body: HTMLElement;
  private clear: HTMLButtonElement;
  private map: Heatmap | null = null;
  private image = document.createElement('canvas');
  private marked: [number, number] | null = null;
  private sequence = 0;

  constructor(private app: App) {
    this.clear = button({ label: 'All of the time', title: 'Choose nothing', run: () => app.store.set({ selectFrom: 0, selectTo: 0 }) });
    this.body = h('div', { class: 'heat' }, this.canvas, this.axis, h('div', { class: 'scale' },
      h('span', {}, 'less ', h('i', { class: 'ramp' }), ' more'), this.hint, this.clear));
    this.el = h('div', { class: 'view' }, this.note, this.body);
    new Brush(this.canvas, {
      steps: () => this.map?.columns ?? 60,
      change: (a, b) => { this.marked = [this.at(a), this.at(b)]; this.canvas.setAttribute('aria-valuetext', span(...this.marked)); this.draw(); },
      done: (a, b) => this.take(this.at(a), this.at(b), a === b),
    });
    this.canvas.addEventListener('pointermove', (e) => this.point(e));
    this.canvas.addEventListener('pointerenter', (e) => { if (e.pointerType !== 'touch') app.session.hold('the pointer', true); });
    this.canvas.addEventListener('pointerleave', () => app.session.hold('the pointer', false));
    new ResizeObserver(() => this.draw()).observe(this.el);
  }

  update(layout: Layout | null): void {
    const { session, engine } = this.app, summary = session.summary;
    const times = session.live || !!summary?.times;
    this.body.hidden = !times;
    this.note.hidden = times;
    if (!times) {
      fill(this.note, session.file
        ? 'This file does not say when within its span each sample was taken, so it has no heat map. A file that `ebpfprof record -o x.html` writes does.'
        : 'Times within a second are kept for the last minutes only. ',
        session.file ? null : button({ label: 'Show live', run: () => this.app.store.set({ from: '', to: '', selectFrom: 0, selectTo: 0 }) }));
      return;
    }
    if (!layout) return;
    const sequence = ++this.sequence, view = session.view();
    // The map is of all the time that is known, whatever part of it is chosen.
    view.filter = { ...view.filter, from: undefined, to: undefined };
    // A minute at least, so that the first seconds of a stream are not as wide as the page.
    const live = session.live ? layout.live : undefined;
    if (live && live.to === 0) return; // nothing has come yet
    engine.heatmap(view, live ? Math.min(live.from, live.to - 60_000) : 0, live?.to ?? 0, 1000).then((m) => {
      if (sequence !== this.sequence) return;
      this.map = m;
      this.paint();
      this.draw();
    }, () => undefined);
    this.clear.disabled = this.app.store.state.selectTo === 0;
  }

  leave(): void { this.sequence++; this.app.session.hold('the pointer', false); }

  private at(x: number): number {
    const m = this.map;
    return m ? m.from + x * m.columns * m.columnMs : 0;
  }

  private take(from: number, to: number, press: boolean): void {
    this.marked = null;
    const m = this.map;
    if (!m) return;
    if (press || to - from < m.bucketMs) {
      from = m.from + Math.floor((from - m.from) / m.columnMs) * m.columnMs;
      to = from + m.columnMs;
    }
    announce(`Chosen: ${span(from, to)}`);
    this.app.store.set({ selectFrom: Math.round(from), selectTo: Math.round(to) });
  }

  private point(e: PointerEvent): void {
    const m = this.map;
    if (!m) return;
    const c = Math.min(m.columns - 1, Math.max(0, Math.floor(e.offsetX / this.canvas.clientWidth * m.columns)));
    const r = Math.min(m.rows - 1, Math.max(0, m.rows - 1 - Math.floor(e.offsetY / height * m.rows)));
    const t = m.from + c * m.columnMs + r * m.bucketMs;
    const known = t >= m.known.from && t < m.known.to;
    setText(this.hint, `${clock(t)}.${String(Math.floor(t % 1000)).padStart(3, '0')}: ${known ? value(m.cells[c * m.rows + r]!, m.type.unit) + ` in ${m.bucketMs} ms` : 'not known'}`);
  }

  /** One pixel a cell; the browser enlarges it. */
  private paint(): void {
    const m = this.map!;
    if (m.columns === 0) return;
    this.image.width = m.columns;
    this.image.height = m.rows;
    const g = this.image.getContext('2d')!, pixels = g.createImageData(m.columns, m.rows);
    const ramp = [0, 1, 2, 3].map((i) => rgb(colour('heat-' + i)));
    for (let c = 0; c < m.columns; c++) {
      for (let r = 0; r < m.rows; r++) {
        const t = m.from + c * m.columnMs + r * m.bucketMs, p = ((m.rows - 1 - r) * m.columns + c) * 4;
        if (t + m.bucketMs <= m.known.from || t >= m.known.to) continue;
        const v = Math.sqrt((m.cells[c * m.rows + r] ?? 0) / (m.max || 1)) * 3, i = Math.min(2, Math.floor(v)), part = v - i;
        for (let k = 0; k < 3; k++) pixels.data[p + k] = ramp[i]![k]! + (ramp[i + 1]![k]! - ramp[i]![k]!) * part;
        pixels.data[p + 3] = 255;
      }
    }
    g.putImageData(pixels, 0, 0);
  }

  private draw(): void {
    const f = fit(this.canvas, height), m = this.map;
    if (!f || !m || m.columns === 0) return;
    const { g, w } = f, whole = m.columns * m.columnMs;
    g.imageSmoothingEnabled = false;
    g.drawImage(this.image, 0, 0, w, height);
    fill(this.axis, ...[0, 0.25, 0.5, 0.75, 1].map((x) => h('span', {}, clock(m.from + x * whole))));
    const s = this.app.store.state, win = this.app.session.window();
    const mark = this.marked ?? (s.selectTo > 0 ? [s.selectFrom, s.selectTo] as const : this.app.session.live && win ? [win.from, win.to] as const : null);
    if (!mark) return;
    const a = Math.max(0, (mark[0] - m.from) / whole * w), b = Math.min(w, (mark[1] - m.from) / whole * w);
    g.fillStyle = colour('bg');
    g.globalAlpha = 0.6;
    g.fillRect(0, 0, a, height);
    g.fillRect(b, 0, w - b, height);
    g.globalAlpha = 1;
    g.strokeStyle = colour('accent');
    g.lineWidth = 2;
    g.strokeRect(a + 1, 1, Math.max(2, b - a - 2), height - 2);
  }
}

function rgb(hex: string): number[] {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) || 0);
}
