// Menus and dialogues: one menu at a time, closed by Escape, by a press elsewhere and by leaving it.

import { h, nameText } from './dom.ts';

export interface MenuItem { label: string; key?: string; href?: string; download?: boolean; checked?: boolean; disabled?: boolean; run?(): void }

let open: { el: HTMLElement; close(): void } | null = null;

export const menuIsOpen = (): boolean => open !== null;

export function closeMenu(): void { open?.close(); }

/** Opens a menu at a place of the window. null in items is a line between groups. */
export function menu(x: number, y: number, title: string, items: (MenuItem | null)[], closed: () => void = () => undefined): void {
  closeMenu();
  const before = document.activeElement as HTMLElement | null;
  const el = h('div', { class: 'menu', role: 'menu', 'aria-label': title || 'Menu' });
  if (title) el.append(h('div', { class: 'head' }, nameText(title, 160)));
  for (const item of items) el.append(item ? entry(item) : h('hr', { role: 'separator' }));
  const entries = () => [...el.querySelectorAll<HTMLElement>('button:not(:disabled), a')];
  const close = () => {
    if (open?.el !== el) return;
    open = null;
    el.remove();
    document.removeEventListener('pointerdown', outside, true);
    removeEventListener('resize', close);
    if (before?.isConnected) before.focus({ preventScroll: true });
    closed();
  };
  const outside = (e: Event) => { if (!el.contains(e.target as Node)) close(); };
  el.addEventListener('click', (e) => { if ((e.target as HTMLElement).closest('button, a')) close(); }, true);
  el.addEventListener('keydown', (e) => {
    const list = entries(), at = list.indexOf(document.activeElement as HTMLElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1 + list.length, Home: 0, End: list.length - 1 };
    if (e.key in to) list[to[e.key]! % list.length]?.focus();
    else if (e.key === 'Escape' || e.key === 'Tab') close();
    else if (e.key.length !== 1 || e.key === ' ') { e.stopPropagation(); return; }
    else list.find((b) => b.dataset.key === e.key)?.click();
    e.preventDefault();
    e.stopPropagation();
  });
  document.body.append(el);
  const box = el.getBoundingClientRect();
  el.style.left = Math.max(8, Math.min(x, innerWidth - box.width - 8)) + 'px';
  el.style.top = Math.max(8, Math.min(y, innerHeight - box.height - 8)) + 'px';
  open = { el, close };
  document.addEventListener('pointerdown', outside, true);
  addEventListener('resize', close);
  entries()[0]?.focus();
}

function entry(item: MenuItem): HTMLElement {
  const inner = [h('span', {}, (item.checked === undefined ? '' : item.checked ? '✓ ' : '  ') + item.label), item.key ? h('kbd', {}, item.key) : null];
  if (item.href) return h('a', { role: 'menuitem', href: item.href, download: item.download, target: item.download ? undefined : '_blank', rel: 'noopener' }, ...inner);
  return h('button', {
    type: 'button', role: item.checked === undefined ? 'menuitem' : 'menuitemcheckbox', disabled: item.disabled, 'data-key': item.key,
    'aria-checked': item.checked === undefined ? undefined : String(item.checked),
    // After the menu is closed and has given the focus back, so that what opens next may take it.
    onclick: () => queueMicrotask(() => item.run?.()),
  }, ...inner);
}

/** Opens a menu below what was pressed. */
export function menuBelow(e: Event, title: string, items: (MenuItem | null)[]): void {
  const at = e.currentTarget as HTMLElement, box = at.getBoundingClientRect();
  at.setAttribute('aria-expanded', 'true');
  menu(box.left, box.bottom + 3, title, items, () => at.setAttribute('aria-expanded', 'false'));
}

/** Shows a dialogue and takes it away when it is closed. */
export function dialogue(el: HTMLDialogElement): void {
  closeMenu();
  document.body.append(el);
  el.addEventListener('close', () => el.remove());
  el.addEventListener('click', (e) => { if (e.target === el) el.close(); });
  el.showModal();
}
