// Elements. Names come from profiled processes and are hostile: they reach the document as text only, never as markup.

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, unknown>;

/**
 * Makes an element. Keys of attributes that begin with "on" are listeners, booleans set or leave out an attribute, class
 * names come from "class", everything else is an attribute.
 */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) e.addEventListener(key.slice(2), value as EventListener);
    else if (key === 'text') e.textContent = String(value);
    else if (key === 'value') (e as unknown as HTMLInputElement).value = String(value);
    else e.setAttribute(key, value === true ? '' : String(value));
  }
  append(e, children);
  return e;
}

export function append(e: Node, children: Child[]): void {
  for (const c of children) if (c) e.appendChild(typeof c === 'string' ? document.createTextNode(c) : c);
}

/** Replaces what e holds. */
export function fill(e: HTMLElement, ...children: Child[]): void {
  e.textContent = '';
  append(e, children);
}

/** Sets a text, and touches the document only if it is another one: a second's update must not make work. */
export function setText(e: HTMLElement, text: string): void {
  if (e.textContent !== text) e.textContent = text;
}

export function setTitle(e: HTMLElement, text: string): void {
  if (e.title !== text) e.title = text;
}

/** How many characters of a name are shown outside of the details. */
const shown = 120;

/** Shortens in the middle, because both ends of a symbol tell most; never splits a surrogate pair. */
export function middle(name: string, limit = shown): string {
  if (name.length <= limit) return name;
  const half = (limit - 1) >> 1;
  const head = name.slice(0, half).replace(/[\ud800-\udbff]$/, '');
  const tail = name.slice(name.length - half).replace(/^[\udc00-\udfff]/, '');
  return head + '…' + tail;
}

/** Control characters as pictures, so that none breaks a line or is invisible. */
export function visible(name: string): string {
  return name.replace(/[\u0000-\u001f\u007f]/g, (c) => (c === '\u007f' ? '\u2421' : String.fromCharCode(0x2400 + c.charCodeAt(0))))
    .replace(/[\u0080-\u009f\u2028\u2029]/g, '\ufffd');
}

/** A name from outside: shortened, isolated from the direction of what surrounds it. */
export function nameText(name: string, limit = shown): HTMLElement {
  const text = visible(middle(name, limit));
  const e = h('bdi', { class: 'name', dir: 'auto', text: text === '' ? '(no name)' : text });
  if (name.length > 24) e.title = visible(middle(name, 600));
  return e;
}

export interface Button { label: string; title?: string; key?: string; pressed?: boolean; disabled?: boolean; class?: string; run: (e: Event) => void }

export function button(b: Button): HTMLButtonElement {
  return h('button', {
    type: 'button', class: b.class, title: (b.title ?? '') + (b.key ? ` (${b.key})` : '') || undefined, disabled: b.disabled,
    'aria-pressed': b.pressed === undefined ? undefined : String(b.pressed), onclick: b.run,
  }, b.label);
}

/** Marks a toggle. */
export function press(e: HTMLElement, on: boolean): void {
  e.setAttribute('aria-pressed', String(on));
}

export interface Choice { value: string; label: string }

/** Sets the choices of a selection if they changed, and what is chosen. A value that is no choice is added, so that a shared link shows what it says. */
export function setChoices(select: HTMLSelectElement, choices: Choice[], value: string): void {
  if (!choices.some((c) => c.value === value)) choices = [...choices, { value, label: value }];
  const key = JSON.stringify(choices);
  if (select.dataset.choices !== key && document.activeElement !== select) {
    select.dataset.choices = key;
    fill(select, ...choices.map((c) => h('option', { value: c.value, text: visible(middle(c.label, 60)) })));
  }
  if (select.value !== value) select.value = value;
}

/** Tells a screen reader what changed. */
export function announce(text: string): void {
  let region = document.getElementById('announced');
  if (!region) document.body.append(region = h('div', { id: 'announced', class: 'sr', role: 'status', 'aria-live': 'polite' }));
  setText(region, text);
}

/** The colours of the page for what is drawn on a canvas. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
}

/** Makes a canvas as large as its place, sharp on any screen, and returns its context in CSS pixels with the size. */
export function fit(canvas: HTMLCanvasElement, height: number): { g: CanvasRenderingContext2D; w: number; h: number } | null {
  const w = canvas.clientWidth;
  const ratio = window.devicePixelRatio || 1;
  const g = canvas.getContext('2d');
  if (!g || w < 1) return null;
  const pw = Math.round(w * ratio), ph = Math.round(height * ratio);
  if (canvas.width !== pw || canvas.height !== ph) {
    canvas.width = pw;
    canvas.height = ph;
    canvas.style.height = height + 'px';
  }
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, w, height);
  return { g, w, h: height };
}
