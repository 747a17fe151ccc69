// The page: it puts its parts together and tells them of changes.

import { frameActions } from './actions.ts';
import * as api from './api.ts';
import type { App, Chosen, Panel } from './app.ts';
import { DetailsPanel } from './details.ts';
import { announce, button, fill, h, nameText } from './dom.ts';
import { Engine, type Layout } from './engine/engine.ts';
import { exportItems } from './exports.ts';
import { Header } from './header.ts';
import { help } from './help.ts';
import { installKeys } from './keys.ts';
import { menu } from './popup.ts';
import { comparison } from './ranges.ts';
import { Session } from './session.ts';
import { sourceKeys, Store, type State, type ViewName } from './state.ts';
import { Theme } from './theme.ts';
import { Toolbar, viewLabels } from './toolbar.ts';
import { change, percent, value } from './units.ts';
import { Chart } from './views/chart.ts';
import { DiffPanel } from './views/diff.ts';
import { HeatmapPanel } from './views/heatmap.ts';
import { hasElided, Legend } from './views/legend.ts';
import { ListsPanel } from './views/lists.ts';
import { SandwichPanel } from './views/sandwich.ts';
import { ServicesPanel } from './views/services.ts';
import { TablePanel } from './views/table.ts';
import { TimelinePanel } from './views/timeline.ts';

/** Between two looks at what the daemon says of itself. */
const statusEvery = 5000, servicesEvery = 20_000;

class Page implements App {
  readonly store = new Store();
  readonly engine: Engine;
  readonly session: Session;
  private kinds: api.Kind[] = [];
  private services: string[] = [];
  private theme: Theme;
  private header: Header;
  private toolbar: Toolbar;
  private details: DetailsPanel;
  private chart: Chart;
  private legend: Legend;
  private hovered: Chosen | null = null;
  private selected: Chosen | null = null;
  private hoverText = h('div', { class: 'hover' });
  private chartFoot: HTMLElement;
  private frameButtons: HTMLElement;
  private place = h('div', { class: 'view' });
  private pane: HTMLElement;
  private busy = h('div', { class: 'busy', hidden: true });
  private panels = new Map<ViewName, Panel>();
  private current: Panel | null = null;
  private drawing = false;
  private again = false;

  constructor(data: string | null, worker: string | Blob) {
    this.engine = new Engine(worker);
    this.session = new Session(this.engine, this.store, data !== null);
    this.theme = new Theme(() => this.header && this.refresh());
    const session = this.session, theme = () => this.theme.next();
    this.header = new Header({ session, exports: () => exportItems(session, () => this.dark()), theme, help });
    this.toolbar = new Toolbar(session);
    this.details = new DetailsPanel(this, () => this.choose(null));
    this.chart = new Chart(this, { label: 'Flame graph', onZoom: (zoom) => this.store.set({ zoom }), onDetail: () => this.refresh() });
    this.legend = new Legend(this);
    this.frameButtons = h('span', { class: 'actions off' },
      button({ label: 'Details', key: 'o', run: () => this.selected && this.choose(this.selected) }),
      button({ label: '⋯', title: 'What can be done with the frame', key: 'm', run: (e) => this.selected && this.context(this.selected, (e as MouseEvent).clientX, (e as MouseEvent).clientY - 300) }));
    this.chartFoot = h('div', { class: 'foot' }, this.hoverText, this.frameButtons, this.legend.el);
    this.pane = h('main', { class: 'pane', id: 'pane', role: 'tabpanel', tabindex: '-1' }, this.busy, this.place, this.chart.el, this.chartFoot);
    fill(document.getElementById('app')!, h('a', { class: 'skip', href: '#pane', onclick: (e: Event) => { e.preventDefault(); this.pane.focus(); } }, 'To the graph'),
      this.header.el, this.toolbar.el, h('div', { class: 'main' }, this.pane, this.details.el));
    installKeys({
      app: this, search: this.toolbar.input, frame: () => this.hovered ?? this.selected ?? this.details.chosen, help, theme,
      closeDetails: () => { const open = this.details.chosen !== null; if (open) this.choose(null); return open; },
    });
    this.engine.onfailure = (reason) => { this.session.error = `The part of the page that computes stopped: ${reason}. Reload the page.`; this.refresh(); };
    this.store.onChange((s, changed) => this.changed(s, changed));
    session.onChange((what) => (what === 'data' ? this.refresh() : this.meta()));
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.refresh(); });
    this.begin(data);
  }

  private begin(data: string | null): void {
    if (data !== null) {
      void this.session.openFile(data).then(() => {
        const title = this.session.summary?.title;
        if (title) document.title = title + ' · ebpfprof';
        if (this.session.summary?.base && location.hash === '') this.store.set({ view: 'diff' }, true);
      });
      return this.refresh();
    }
    void this.session.open();
    void this.pollStatus();
    void this.pollServices();
  }

  dark(): boolean { return this.theme.dark; }

  // The daemon's own state. Each look begins when the last one is over, so that they never pile up.

  private async pollStatus(): Promise<void> {
    if (!document.hidden) {
      const [status, kinds] = await Promise.all([api.status().catch(() => null), api.kinds().catch(() => null)]);
      if (kinds) this.kinds = kinds;
      if (this.kinds.length) this.header.setKinds(this.kinds);
      if (status) this.header.setStatus(status);
      this.meta();
    }
    setTimeout(() => void this.pollStatus(), statusEvery);
  }

  private async pollServices(): Promise<void> {
    const s = this.store.state;
    if (!document.hidden) {
      const list = await api.services({ kind: s.kind, from: s.from || 'now-1h', to: s.to || 'now' }).catch(() => null);
      if (list) this.services = list.map((one) => one.name);
      this.header.setServices(this.services);
    }
    setTimeout(() => void this.pollServices(), servicesEvery);
  }

  private changed(s: State, changed: Set<keyof State>): void {
    if (changed.has('view')) announce(viewLabels[s.view]);
    if (changed.has('view')) { this.selected = this.hovered = null; this.tell(null); }
    // What was told of a function without its place cannot be asked anew.
    if (this.details.chosen?.path === null && sourceKeys.some((k) => changed.has(k))) this.choose(null);
    this.header.setServices(this.services);
    if (this.kinds.length) this.header.setKinds(this.kinds);
    this.refresh();
  }

  private meta(): void {
    this.busy.hidden = !this.session.loading;
    this.header.update(this.session.shown);
    this.state();
  }

  /** Asks for a new layout and shows it. While one is under way another is only noted: the newest state is what counts. */
  private refresh(): void {
    const panel = this.panel(this.store.state.view);
    if (panel !== this.current) {
      this.current?.leave?.();
      this.current = panel;
      fill(this.place, panel.el);
      this.pane.setAttribute('aria-labelledby', 'tab-' + this.store.state.view);
    }
    const chart = panel.chart;
    this.chart.el.hidden = this.chartFoot.hidden = !chart;
    this.place.classList.toggle('full', !chart);
    this.toolbar.update(this.session.shown);
    this.meta();
    if (this.drawing) { this.again = true; return; }
    void this.layout();
  }

  private async layout(): Promise<void> {
    this.drawing = true;
    do {
      this.again = false;
      try {
        const ready = this.session.summary && !this.session.loading;
        const l = ready ? await this.engine.layout({ ...this.session.view(), seen: this.chart.flame.seen }) : null;
        if (l) this.show(l);
        else this.current?.update(null);
      } catch (e) {
        this.session.error = e instanceof Error ? e.message : String(e);
      }
    } while (this.again);
    this.drawing = false;
    this.meta();
  }

  private show(l: Layout): void {
    this.session.shown = l;
    const s = this.store.state;
    if (this.current?.chart) {
      this.chart.set(l, s.icicle);
      this.legend.el.hidden = this.session.diff;
      this.legend.update(l);
    }
    this.current?.update(l);
    this.details.update();
    this.toolbar.update(l);
    if (!this.hovered && !this.selected) this.whole(l);
  }

  /** What the width of the graph stands for. */
  private whole(l: Layout): void {
    const elided = this.session.diff && hasElided(l) ? ' · hatched: only in the base' : '';
    fill(this.hoverText, h('span', { class: 'muted' }, `100 % is ${value(l.whole, l.type.unit)} of ${this.session.whole(l)}${elided}`));
  }

  /** Says why nothing is drawn, where nothing is. */
  private state(): void {
    const { session, chart } = this, l = session.shown, s = this.store.state;
    if (session.file && s.view === 'diff' && session.summary && !session.diff) {
      return chart.empty('Nothing to compare with', 'This file has one profile. `ebpfprof view FILE --base OTHER` and `ebpfprof diff FILE OTHER -o x.html` have two.');
    }
    if (!session.file && s.view === 'diff' && !s.baseTo) {
      return chart.empty('What changed?', button({ label: 'This minute and the one before', class: 'primary', run: () => this.store.set(comparison('minute', session)) }), 'or choose two times or services above.');
    }
    if (session.error) return chart.empty('Nothing can be shown', session.error);
    if (session.loading) { if (!l) chart.empty('Loading…'); return; }
    if (!l) return chart.empty(session.live ? 'Waiting for samples…' : 'Loading…');
    if (l.whole > 0 || l.baseWhole > 0) return;
    if (session.narrowed || s.hide.length) {
      return chart.empty('The filters leave nothing', button({ label: 'Take them away', run: () => this.store.set({ threads: [], processes: [], modules: [], services: [], labels: [], focus: [], hide: [], hiddenKinds: [], noIdle: false, complete: false }) }));
    }
    if (session.client.waiting) return chart.empty('Waiting for samples…');
    if (session.live && session.client.state.is !== 'on') return chart.empty(session.client.state.is === 'refused' ? 'This kind is not live' : 'Not connected');
    chart.empty('No samples', session.live ? `Nothing of this kind was measured in the last ${s.seconds} s${s.service ? ' in this service' : ''}. It appears as soon as there is some.` : 'Nothing is known of this time.');
  }

  private panel(view: ViewName): Panel {
    let p = this.panels.get(view);
    if (!p) this.panels.set(view, p = this.make(view));
    return p;
  }

  private make(view: ViewName): Panel {
    switch (view) {
      case 'flame': return { el: h('div'), chart: true, update: () => undefined };
      case 'table': return new TablePanel(this, false);
      case 'sandwich': return new SandwichPanel(this);
      case 'timeline': return new TimelinePanel(this, () => this.kinds);
      case 'heatmap': return new HeatmapPanel(this);
      case 'diff': return new DiffPanel(this, () => this.services);
      case 'lists': return new ListsPanel(this);
      case 'services': return new ServicesPanel(this);
    }
  }

  choose(c: Chosen | null): void {
    const had = this.details.chosen !== null;
    this.session.hold('the open details', c !== null);
    this.details.show(c);
    if (had && !c) this.chart.focus();
    if (had !== (c !== null)) this.chart.flame.resize();
  }

  context(c: Chosen, x: number, y: number): void {
    if (!c.frame.key) return;
    this.session.hold('the menu', true);
    menu(x, y, c.frame.name, [{ label: 'Details', key: 'o', run: () => this.choose(c) }, ...frameActions(this.store, c.frame, c.path)], () => this.session.hold('the menu', false));
  }

  select(c: Chosen | null): void {
    this.selected = c;
    this.frameButtons.classList.toggle('off', !c?.frame.key);
    // Details that are open follow; a press alone does not open them, because it zooms.
    if (c && this.details.chosen) this.details.show(c);
    if (!this.hovered) this.tell(c);
  }

  hover(c: Chosen | null): void {
    if (!c && !this.hovered) return; // over nothing as before
    this.hovered = c;
    this.tell(c ?? this.selected);
  }

  /** The line below the graph. */
  private tell(c: Chosen | null): void {
    if (!c) {
      if (this.session.shown) this.whole(this.session.shown);
      return;
    }
    const diff = c.baseTotal !== undefined ? ` · base ${value(c.baseTotal, c.unit)}, ${change(c.total, c.baseTotal)}` : '';
    fill(this.hoverText, nameText(c.frame.name, 90), `  ${percent(c.total, c.whole)} of ${this.session.whole()} · ${value(c.total, c.unit)} · self ${value(c.self, c.unit)}${diff}`);
  }
}

/** Makes the page. own is the script that runs, which the worker is to run as well: from where it came or, in a file, its text. */
export function begin(own: HTMLScriptElement): void {
  const data = document.getElementById('ebpfprof-data');
  new Page(data ? (data.textContent ?? '').trim() : null, own.src || new Blob([own.text], { type: 'text/javascript' }));
}
