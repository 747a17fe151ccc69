/** Longer names are cut in keys, so that a key fits into a URL, and told apart by a hash. */
const longest = 160;

/** What names a function across documents, reloads and pages: its name and module. */
export function keyOf(name: string, module: string): string {
  const key = module ? `${name}\u001f${module}` : name;
  return key.length <= longest ? key : `${key.slice(0, longest - 10)}\u001e${hash(key).toString(36)}`;
}

/** FNV-1a over UTF-16 units, mixed, since its low bits are weak for short names. */
export function hash(s: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < s.length; i++) h = Math.imul(h ^ s.charCodeAt(i), 0x01000193);
  return (h ^ (h >>> 15)) >>> 0;
}
