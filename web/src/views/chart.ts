// A flame graph in the page: the drawn component, what stands in its place when there is nothing to draw, and what its events mean.

import type { App, Chosen } from '../app.ts';
import { fill, h } from '../dom.ts';
import type { Frame, Layout } from '../engine/engine.ts';
import { percent } from '../units.ts';
import { FlameChart, type Info } from '../flame/flame.ts';

interface Options { label: string; onZoom(path: string[]): void; onDetail?(): void }

export class Chart {
  readonly el: HTMLElement;
  readonly flame: FlameChart;
  private host: HTMLElement;
  private none = h('div', { class: 'empty', hidden: true });
  private byKey = false;

  constructor(private app: App, o: Options) {
    this.host = h('div', { class: 'canvasHost', 'aria-label': o.label });
    this.el = h('div', { class: 'chart' }, this.host, this.none);
    this.flame = new FlameChart(this.host, {
      theme: app.dark() ? 'dark' : 'light',
      onZoom: o.onZoom,
      onDetail: o.onDetail,
      onHover: (info) => app.hover(info && chosen(info)),
      onSelect: (info) => this.select(info),
      onContext: (info, x, y) => app.context(chosen(info), x, y),
      describe: (info) => { const c = chosen(info); return `${c.frame.name.slice(0, 200) || 'no name'}, ${percent(c.total, c.whole)} of ${app.session.whole()}`; },
    });
    // While a pointer rests on what moves nobody can read it.
    this.host.addEventListener('pointerenter', (e) => { if (e.pointerType !== 'touch') app.session.hold('the pointer', true); });
    this.host.addEventListener('pointerleave', () => app.session.hold('the pointer', false));
    // So it is for who goes from frame to frame by the keyboard; a press zooms, and what is zoomed to stays live.
    this.host.addEventListener('keydown', () => { this.byKey = true; }, true);
    this.host.addEventListener('pointerdown', () => { this.byKey = false; }, true);
    this.host.addEventListener('focusout', () => app.session.hold('the keyboard', false));
  }

  set(layout: Layout, icicle: boolean): void {
    const { state } = this.app.store;
    this.none.hidden = true;
    this.flame.set(layout, { icicle, diff: this.app.session.diff, theme: this.app.dark() ? 'dark' : 'light', search: state.search });
  }

  /** Says why there is nothing. */
  empty(title: string, ...more: (Node | string)[]): void {
    const key = title + more.map((m) => (typeof m === 'string' ? m : m.textContent)).join('');
    if (!this.none.hidden && this.none.dataset.key === key) return;
    this.none.dataset.key = key;
    fill(this.none, h('b', {}, title), ...more.map((m) => (typeof m === 'string' ? h('span', {}, m) : m)));
    this.none.hidden = false;
  }

  private select(info: Info | null): void {
    if (this.byKey || !info) this.app.session.hold('the keyboard', info !== null);
    this.app.select(info && chosen(info));
  }

  focus(): void { this.flame.canvas.focus({ preventScroll: true }); }
}

const root: Frame = { key: '', name: 'all', module: '', file: '', line: 0, kind: 'other', inlined: false };

function chosen(i: Info): Chosen {
  return {
    frame: i.frame ?? root, path: i.path, self: i.self, total: i.total, baseSelf: i.baseSelf, baseTotal: i.baseTotal,
    whole: i.layout.whole, baseWhole: i.layout.baseWhole, unit: i.layout.type.unit,
  };
}
