// What the parts of the page share.

import type { Engine, Frame, Layout } from './engine/engine.ts';
import type { Session } from './session.ts';
import type { Store } from './state.ts';

/** A frame that is pointed at or chosen. path has the keys from the root, null where it is a function at many places. */
export interface Chosen { frame: Frame; path: string[] | null; self: number; total: number; baseSelf?: number; baseTotal?: number; whole: number; baseWhole?: number; unit: string }

export interface App {
  readonly store: Store;
  readonly session: Session;
  readonly engine: Engine;
  /** Shows details, or none. */
  choose(c: Chosen | null): void;
  context(c: Chosen, x: number, y: number): void;
  hover(c: Chosen | null): void;
  /** Remembers the frame that was pressed or that the keyboard is at. */
  select(c: Chosen | null): void;
  dark(): boolean;
}

/**
 * One of the views. update is called with the newest layout after each change of data or state while it is shown; it may ask
 * the engine for more and must bear that an answer comes after the next question.
 */
export interface Panel {
  readonly el: HTMLElement;
  /** Whether the flame graph stands below it. */
  readonly chart: boolean;
  update(layout: Layout | null): void;
  /** The view is left: what it held or waits for is let go. */
  leave?(): void;
}
