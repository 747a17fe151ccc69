// What the page and the worker say to each other. Everything is plain data or typed arrays.

/** A function as it is drawn: what has the same name and module is the same one, whatever its file, line and kind. */
export interface Frame {
  key: string; // name and module, stable across documents and reloads; what View.root and sandwich take
  name: string; // as the profiled process chose it: any characters, any length
  module: string;
  file: string;
  line: number;
  kind: string; // of kinds; as it was seen first, as are file and line
  inlined: boolean;
}

/** Names of the kinds of frames by number, as Layout.kind has them: profile.Kind of the Go side and, last, other. */
export const kinds = ['native', 'C', 'C++', 'Rust', 'Go', 'JIT', 'interpreter', 'inlined', 'kernel', 'vDSO', 'marker',
  'process', 'other'] as const;

export interface Filter {
  threads?: string[]; // as Item.key has them
  processes?: string[];
  services?: string[];
  modules?: string[]; // stacks that have a frame of one of these
  labels?: string[]; // key=value; of several with the same key any, of each key one
  hideLabels?: string[]; // key=value: samples without any of these
  complete?: boolean; // only stacks that were walked to their end
  from?: number; // Unix ms; only where samples have times
  to?: number;
}

/** Everything that decides what is drawn. Plain data: the page keeps it in its URL. */
export interface View {
  type: number; // which sample type
  root: string[]; // keys of frames from the root: what is zoomed to; [] is all
  filter: Filter;
  // A pattern is a regular expression that is sought in names, "=" and the key of one frame, or "~" and a kind of frames.
  focus: string[]; // only stacks in which each of these is found
  focusRoot: boolean; // draw from the outermost frame of the last focus on
  hide: string[]; // frames that are taken out; what they call becomes their caller's
  collapseRecursion: boolean; // a function that calls itself is one frame
  foldModules: boolean; // consecutive frames of a module are one
  group: 'none' | 'service' | 'process' | 'thread' | 'module'; // what the first level below the root is
  order: 'name' | 'value';
  inverted: boolean; // from the innermost frame outwards
  diff: 'off' | 'total' | 'time' | 'none'; // how the base, where there is one, is scaled: to the same total, time, not at all
  elided: boolean; // in a difference: also draw what only the base has
  search: string; // sought in names and modules
  searchRegexp: boolean;
  /** The part of the width, 0..1, that is looked at, where it is not that of root: what has to be laid out in full. */
  seen?: [from: number, to: number];
}

export const defaultView: View = {
  type: -1, root: [], filter: {}, focus: [], focusRoot: false, hide: [], collapseRecursion: false, foldModules: false,
  group: 'none', order: 'value', inverted: false, diff: 'off', elided: true, search: '', searchRegexp: false,
};

export interface SampleType { type: string; unit: string }

export interface Covered { seconds?: number; windows?: number; lost?: number; skipped?: number }

/** What a document says about itself. */
export interface Description {
  title: string;
  kind: string;
  service: string;
  types: SampleType[];
  default: number; // the type that View.type -1 stands for
  from?: number; // Unix ms
  to?: number;
  durationNs?: number; // covered time
  period?: number;
  periodType?: SampleType;
  covered?: Covered;
  comments: string[];
  samples: number; // entries of the document, not events
  folded: { nodes: number; value: number }; // what the document's maker folded
  times: boolean; // there is what a heatmap needs
}

export interface Summary extends Description {
  base?: Description;
  nodes: number;
  functions: number;
  threads: number;
}

/** What a line of the live stream says besides samples and names; as docs/api.md has it. */
export interface LiveLine {
  type: string; unit?: string; time?: number; start?: number; end?: number; reason?: string;
  fired?: number; lost?: number; missed?: number;
}

/** How the live buffer is. */
export interface Live {
  from: number; // Unix ms: the oldest sample that is held
  to: number; // the end of the newest batch
  kind: string;
  unit: string;
  samples: number; // entries held
  nodes: number;
  functions: number;
  fired: number; // as the stream says, of all services since it began; so are the next two
  lost: number;
  missed: number;
  foldedNodes: number; // call paths that were put into (other) since the limit of nodes was reached
  foldedThreads: number; // threads that were put into one of their service
  foldedValue: number; // what of the value that is held stands in (other)
  early: number; // entries that left before their time because of the limit of entries
  ended: string; // the reason of the stream's end, or ''
}

/**
 * What is drawn: one entry for each node, by depth, and from left to right within a depth. Entry 0 is the root. The arrays
 * belong to who gets them.
 */
export interface Layout {
  n: number;
  levels: Uint32Array; // the first entry of each depth, and n
  parent: Uint32Array; // entry of the parent; 0 for the root
  x: Float64Array; // 0..1 of the whole
  w: Float64Array;
  frame: Uint32Array; // number of the function in frames; the root has rootFrame
  kind: Uint8Array; // of kinds
  flags: Uint8Array; // sum of flag
  self: Float64Array; // in units of the sample type
  total: Float64Array;
  baseSelf?: Float64Array; // scaled; with a difference only
  baseTotal?: Float64Array;
  frames: Frames; // what frame means
  root: number; // entry of View.root, or of the longest part of it that exists
  rootMissing: number; // how many steps of View.root do not exist
  whole: number; // total of the root
  baseWhole: number;
  baseScale: number; // what base values were multiplied with
  matched: number; // total of what the search finds; recursion counted once
  baseMatched: number;
  incomplete: number; // of whole: stacks that were not walked to their end
  unnamed: number; // of whole: stacks whose innermost frame has no name
  samples: number; // events of whole, where there is a sample type of unit count; else entries
  /** Of a large tree: between from and to are all entries that are as wide as least; null: all there are. */
  cut: { from: number; to: number; least: number } | null;
  truncated: number; // call paths of an inverted view that are too narrow to be laid out
  searchError: string; // why the search is none
  type: SampleType;
  from: number; // Unix ms of what is shown; 0 when not known
  to: number;
  durationNs: number; // of what is shown; 0 when not known
  live?: Live;
  generation: number; // of the data: higher with each change
}

export const flag = {
  matched: 1, // the search finds its name
  elided: 2, // only the base has it
  fresh: 4, // only the base lacks it
  under: 8, // below a frame that is matched
} as const;

/** Stands in Layout.frame for the root. */
export const rootFrame = 0xffffffff;

/** The functions of one generation of the dictionary. It only grows: numbers of earlier layouts stay right. */
export interface Frames {
  readonly length: number;
  get(i: number): Frame;
}

export interface Row {
  frame: number;
  name: string;
  module: string;
  kind: string;
  self: number;
  total: number; // recursion counted once
  count: number; // of call paths
  baseSelf?: number; // scaled
  baseTotal?: number;
  matched: boolean;
}

export interface Table {
  rows: Row[];
  functions: number; // of all rows, before the limit
  whole: number;
  baseWhole: number;
  frames: Frames;
  type: SampleType;
}

export type Sort = 'self' | 'total' | 'name' | 'diff' | 'diffSelf'; // differences: by size, whatever the sign

export interface Sandwich { frame: number; callers: Layout; callees: Layout }

/** How much in each bucket of time: cells[column * rows + row], columns from `from` on. */
export interface Heatmap {
  from: number; // Unix ms, a multiple of columnMs
  columnMs: number;
  columns: number;
  rows: number; // buckets in a column
  bucketMs: number;
  cells: Float32Array;
  max: number;
  total: number;
  known: { from: number; to: number }; // outside of it nothing is known, which is not zero
  type: SampleType; // what the cells are of: documents have times for their default type only
}

export interface Item { key: string; name: string; detail: string; value: number; base?: number; count: number }

/** Who has how much of the view, each list without its own part of the filter; the heaviest first. */
export interface Lists {
  services: Item[];
  processes: Item[]; // name: comm of the main thread or of the first one, detail: pid, service, container
  threads: Item[];
  modules: Item[]; // value: stacks that have a frame of it
  labels: Item[]; // key=value
  kinds: Item[]; // value: self
  incomplete: Item[]; // by reason
  whole: number;
}

export interface Details {
  path: Frame[];
  self: number;
  total: number;
  baseSelf: number;
  baseTotal: number;
  whole: number;
  baseWhole: number;
  paths: number; // nodes at which the function is, anywhere
  functionSelf: number; // of the function over all its call paths
  functionTotal: number;
  lines: { file: string; line: number; self: number; total: number }[]; // the heaviest first, at most 100
  threads: Item[]; // who has it, at most 20
}

/** What load takes: a document, its JSON, or that compressed with gzip; also {"documents":[document, base]}. */
export type Source = object | string | ArrayBuffer | Uint8Array | { base64: string };
