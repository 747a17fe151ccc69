// A list that has elements for the rows in sight only.

import { h } from './dom.ts';

export interface VirtualOptions<T> {
  label: string; columns: string; height: number;
  head: HTMLElement;
  row(item: T, index: number): HTMLElement[];
  classes?(item: T): string;
  key(item: T): string;
  onOpen(item: T): void;
  onContext?(item: T, x: number, y: number): void;
  onHover?(on: boolean): void;
}

export class VirtualList<T> {
  readonly el: HTMLElement;
  private items: T[] = [];
  private body: HTMLElement;
  private first = -1;
  private last = -1;
  private at = -1;
  private atKey = '';

  constructor(private o: VirtualOptions<T>) {
    this.body = h('div', { class: 'rows', role: 'rowgroup' });
    this.el = h('div', { class: 'scroll', role: 'grid', tabindex: '0', 'aria-label': o.label }, o.head, this.body);
    this.el.addEventListener('scroll', () => this.draw(false), { passive: true });
    this.el.addEventListener('keydown', (e) => this.key(e));
    this.body.addEventListener('click', (e) => this.press(e));
    this.body.addEventListener('contextmenu', (e) => this.context(e));
    if (o.onHover) {
      this.body.addEventListener('pointerenter', (e) => { if (e.pointerType !== 'touch') o.onHover!(true); });
      this.body.addEventListener('pointerleave', () => o.onHover!(false));
    }
    new ResizeObserver(() => this.draw(false)).observe(this.el);
  }

  set(items: T[]): void {
    this.items = items;
    this.at = this.atKey ? items.findIndex((i) => this.o.key(i) === this.atKey) : -1;
    this.el.setAttribute('aria-rowcount', String(items.length));
    this.body.style.height = items.length * this.o.height + 'px';
    this.body.style.position = 'relative';
    this.draw(true);
  }

  get selected(): T | undefined { return this.items[this.at]; }

  private draw(all: boolean): void {
    const { height } = this.o;
    const top = Math.max(0, this.el.scrollTop);
    const first = Math.max(0, Math.floor(top / height) - 4);
    const last = Math.min(this.items.length, Math.ceil((top + this.el.clientHeight) / height) + 4);
    if (!all && first === this.first && last === this.last) return;
    this.first = first;
    this.last = last;
    this.body.textContent = '';
    for (let i = first; i < last; i++) {
      const item = this.items[i]!;
      const row = h('div', {
        class: `row ${this.o.columns} ${this.o.classes?.(item) ?? ''}`, role: 'row', id: this.id(i), 'data-i': i, 'aria-rowindex': i + 1,
        'aria-selected': String(i === this.at),
      }, ...this.o.row(item, i));
      row.style.cssText = `position:absolute;left:0;right:0;top:${i * height}px;height:${height}px`;
      for (const cell of row.children) cell.setAttribute('role', 'gridcell');
      this.body.append(row);
    }
    if (this.at >= first && this.at < last) this.el.setAttribute('aria-activedescendant', this.id(this.at));
    else this.el.removeAttribute('aria-activedescendant');
  }

  private id(i: number): string { return `${this.o.columns}-${i}`; }

  private index(e: Event): number {
    const row = (e.target as HTMLElement).closest<HTMLElement>('.row');
    return row ? Number(row.dataset.i) : -1;
  }

  private press(e: Event): void {
    const i = this.index(e);
    if (i < 0 || (e.target as HTMLElement).closest('button')) return;
    this.move(i);
    this.o.onOpen(this.items[i]!);
  }

  private context(e: MouseEvent): void {
    const i = this.index(e);
    if (i < 0 || !this.o.onContext) return;
    e.preventDefault();
    this.move(i);
    this.o.onContext(this.items[i]!, e.clientX, e.clientY);
  }

  private move(i: number): void {
    this.at = Math.max(0, Math.min(this.items.length - 1, i));
    this.atKey = this.items[this.at] ? this.o.key(this.items[this.at]!) : '';
    const { height } = this.o, y = this.at * height, head = this.o.head.offsetHeight;
    if (y < this.el.scrollTop) this.el.scrollTop = y;
    else if (y + height + head > this.el.scrollTop + this.el.clientHeight) this.el.scrollTop = y + height + head - this.el.clientHeight;
    this.draw(true);
  }

  private key(e: KeyboardEvent): void {
    if (e.target !== this.el || e.ctrlKey || e.metaKey || e.altKey) return;
    const page = Math.max(1, Math.floor(this.el.clientHeight / this.o.height) - 2);
    const to: Record<string, number> = {
      ArrowDown: this.at + 1, ArrowUp: this.at - 1, PageDown: this.at + page, PageUp: this.at - page, Home: 0, End: this.items.length - 1,
    };
    const item = this.selected;
    if (e.key in to && this.items.length) this.move(to[e.key]!);
    else if (e.key === 'Enter' && item) this.o.onOpen(item);
    else if (e.key === 'm' && item && this.o.onContext) {
      const box = this.el.getBoundingClientRect();
      this.o.onContext(item, box.left + 60, box.top + 60 + this.at * this.o.height - this.el.scrollTop);
    } else return;
    e.preventDefault();
    e.stopPropagation();
  }
}
