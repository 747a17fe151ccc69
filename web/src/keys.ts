// The keyboard, for what no element that has the focus takes for itself. help.ts lists it.

import { frameActions } from './actions.ts';
import type { App, Chosen } from './app.ts';
import { menuIsOpen } from './popup.ts';
import { comparison, shifted, swapped } from './ranges.ts';
import { views } from './state.ts';

export interface KeyTargets {
  app: App;
  search: HTMLInputElement;
  /** The frame that keys are about: pointed at, focused by the keyboard, or chosen. */
  frame(): Chosen | null;
  closeDetails(): boolean;
  help(): void;
  theme(): void;
}

export function installKeys(t: KeyTargets): void {
  // What lies on top closes first, even when the graph below has the focus and a use for the key.
  document.addEventListener('keydown', (e) => {
    if (e.key === 'Escape' && e.target !== t.search && !menuIsOpen() && !document.querySelector('dialog[open]') && t.closeDetails()) e.stopPropagation();
  }, true);
  document.addEventListener('keydown', (e) => {
    if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || menuIsOpen() || document.querySelector('dialog[open]')) return;
    const at = e.target as HTMLElement;
    if (at === t.search) return searchKey(e, t);
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName)) return;
    // Space and Enter belong to a button that has the focus.
    if ((e.key === ' ' || e.key === 'Enter') && /^(BUTTON|A|SUMMARY)$/.test(at.tagName)) return;
    if (global(e.key, t) || aboutTime(e.key, t) || aboutFrame(e.key, t)) e.preventDefault();
  });
}

function searchKey(e: KeyboardEvent, t: KeyTargets): void {
  if (e.key === 'Escape') {
    t.app.store.set({ search: '' }, true);
    t.search.value = '';
    t.search.blur();
  } else if (e.key === 'Enter') {
    t.app.store.set({ search: t.search.value });
  } else return;
  e.preventDefault();
}

function global(key: string, t: KeyTargets): boolean {
  const { store, session } = t.app, s = store.state, view = views[Number(key) - 1];
  if (/^[1-8]$/.test(key) && view) store.set({ view });
  else if (key === '/') { t.search.focus(); t.search.select(); }
  else if (key === '?') t.help();
  else if (key === 't') t.theme();
  else if (key === 'i') store.toggle('icicle');
  else if (key === 'r') store.toggle('inverted');
  else if (key === ' ' && session.live) session.pause();
  else if (key === 'e') document.querySelector<HTMLElement>('#export')?.click();
  else if (key === 'Backspace' && s.zoom.length) store.set({ zoom: s.zoom.slice(0, -1) });
  else if (key === 'Home' && s.zoom.length) store.set({ zoom: [] });
  else if (key === 'Escape') escape(t);
  else return false;
  return true;
}

/** Each press takes back one thing, the nearest first. */
function escape(t: KeyTargets): void {
  const { store } = t.app, s = store.state;
  if (s.zoom.length) store.set({ zoom: [] });
  else if (s.search) store.set({ search: '' });
  else if (s.selectTo > 0) store.set({ selectFrom: 0, selectTo: 0 });
}

function aboutTime(key: string, t: KeyTargets): boolean {
  const { store, session } = t.app;
  if (session.file) {
    if (key === 'd') store.set({ view: 'diff' });
    return key === 'd';
  }
  const change = key === '[' ? shifted(session, -1) : key === ']' ? shifted(session, 1)
    : key === 'd' ? comparison('minute', session) : key === 'x' ? swapped(store.state)
    : key === 'l' ? { from: '', to: '', selectFrom: 0, selectTo: 0, view: store.state.view === 'diff' ? 'flame' as const : store.state.view } : undefined;
  if (change === undefined) return false;
  if (change) store.set(change);
  return true;
}

function aboutFrame(key: string, t: KeyTargets): boolean {
  const c = t.frame();
  if (!c || !c.frame.key) return false;
  if (key === 'o') t.app.choose(c);
  else if (key === 'm') t.app.context(c, innerWidth / 2 - 120, innerHeight / 3);
  else {
    const action = frameActions(t.app.store, c.frame, c.path).find((a) => a?.key === key);
    if (!action) return false;
    action.run();
  }
  return true;
}
