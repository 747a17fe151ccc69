// What can be done with a frame, the same from the menu, the details and the keyboard.

import type { Frame } from './engine/engine.ts';
import { announce } from './dom.ts';
import type { State, Store } from './state.ts';

/** A pattern of the engine for one function only: by name and module, not as a regular expression. */
export const exactly = (frame: Frame): string => '=' + frame.key;

/** A pattern as it is shown. */
export function patternLabel(pattern: string): string {
  return pattern.startsWith('=') ? pattern.slice(1).split('\0')[0]!.split('\u001f')[0]! : `/${pattern}/`;
}

const add = (list: string[], one: string): string[] => (list.includes(one) ? list : [...list, one]);

export interface Action { label: string; key?: string; run(): void; disabled?: boolean }

export function frameActions(store: Store, frame: Frame, path: string[] | null): (Action | null)[] {
  const s = store.state;
  const set = (change: Partial<State>) => () => store.set(change);
  return [
    path ? { label: 'Zoom to it', key: 'Enter', run: set({ zoom: path, view: zoomable(s.view) }) } : null,
    { label: 'Callers and callees', key: 's', run: set({ view: 'sandwich', sandwich: frame.key }) },
    { label: 'Search for it', run: set({ search: frame.name.slice(0, 300), regexp: false }) },
    { label: 'Only stacks with it', key: 'f', run: set({ focus: add(s.focus, exactly(frame)), focusRoot: false, zoom: [] }) },
    { label: 'Only stacks with it, from it on', run: set({ focus: add(s.focus, exactly(frame)), focusRoot: true, zoom: [] }) },
    { label: 'Hide the function', key: 'h', run: set({ hide: add(s.hide, exactly(frame)), zoom: [] }) },
    frame.module ? { label: 'Only stacks with its module', run: set({ modules: add(s.modules, frame.module), zoom: [] }) } : null,
    { label: s.fold ? 'Unfold modules' : 'Fold each module to one frame', run: set({ fold: !s.fold, zoom: [] }) },
    { label: s.collapse ? 'Show recursion' : 'Collapse recursion', run: set({ collapse: !s.collapse, zoom: [] }) },
    { label: 'Copy the name', key: 'c', run: () => void copy(frame.name) },
  ];
}

export function zoomable(view: State['view']): State['view'] {
  return view === 'table' || view === 'lists' || view === 'services' || view === 'sandwich' ? 'flame' : view;
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    announce('Copied');
    return;
  } catch {
    // Without the right to the clipboard, as over plain HTTP, an input's own copying still works.
  }
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'sr';
  const before = document.activeElement as HTMLElement | null;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  before?.focus();
  announce(done ? 'Copied' : 'The browser does not let this page copy');
}
