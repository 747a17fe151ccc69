// Files of what is shown, made here; of the history also by the daemon.

import { address } from './api.ts';
import { announce } from './dom.ts';
import type { MenuItem } from './popup.ts';
import type { Session } from './session.ts';

/** Stands in the page as a file where its documents belong. */
const mark = '@ebpfprof-' + 'documents@';

export function exportItems(session: Session, dark: () => boolean): (MenuItem | null)[] {
  const { engine } = session, view = () => session.view();
  const make = (label: string, name: string, type: string, content: () => Promise<BlobPart>): MenuItem => ({
    label, run: () => void content().then((c) => download(fileName(session, name), new Blob([c], { type })), (e: Error) => announce(`Not exported: ${e.message}`)),
  });
  const items: (MenuItem | null)[] = [
    make('pprof', 'pb.gz', 'application/octet-stream', () => engine.exportPprof(view())),
    make('HTML, this page in one file', 'html', 'text/html', async () => page(await engine.exportDoc(view()))),
    make('SVG', 'svg', 'image/svg+xml', () => engine.exportSVG(view(), { icicle: session.store.state.icicle, dark: dark(), title: session.whole() })),
    make('speedscope', 'speedscope.json', 'application/json', () => engine.exportSpeedscope(view())),
    make('folded stacks', 'folded', 'text/plain', () => engine.exportFolded(view())),
  ];
  if (session.file || session.live) return items;
  const [query] = session.requests('pprof');
  const link = (label: string, format: string): MenuItem => ({ label: label + ' from the daemon, unfiltered', href: address('profile', { ...query, format }), download: true });
  return [...items, null, link('pprof', 'pprof'), link('Firefox Profiler', 'firefox'), link('Text', 'txt')];
}

function fileName(session: Session, extension: string): string {
  const s = session.store.state, w = session.window();
  const time = w ? '-' + new Date(w.from).toISOString().slice(0, 19).replace(/[:T]/g, '') : '';
  const who = (s.service || session.summary?.service || 'all').replace(/[^\w.-]+/g, '_').slice(0, 60);
  return `ebpfprof-${who}-${session.kind.replace(/[^\w.-]+/g, '_')}${time}.${extension}`;
}

function download(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob), a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  announce(`Exported ${name}`);
}

/** The page as one file with documents. A page that is one is its own template. */
async function page(documents: Uint8Array): Promise<string> {
  const url = document.querySelector('#ebpfprof-file')?.getAttribute('content');
  const template = url ? await (await fetch(url)).text() : itself();
  const at = template.indexOf(mark);
  if (at < 0) throw new Error('the page has no place for documents');
  return template.slice(0, at) + base64(documents) + template.slice(at + mark.length);
}

function itself(): string {
  const text = (selector: string) => document.querySelector(selector)?.textContent ?? '';
  const policy = document.querySelector('meta[http-equiv]')?.getAttribute('content') ?? '';
  const element = (tag: string, rest: string, content: string) => `<${tag}${rest}>${content}<${'/'}${tag}>`; // whole, the script would end here
  return '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>ebpfprof</title>\n' +
    `<meta http-equiv="Content-Security-Policy" content="${policy}">` + element('style', '', text('style')) + '\n</head>\n<body>\n<div id="app"></div>\n' +
    element('script', ' type="application/json" id="ebpfprof-data"', mark) + element('script', '', text('script:not([id])')) + '\n</body>\n</html>\n';
}

function base64(data: Uint8Array): string {
  let text = '';
  for (let i = 0; i < data.length; i += 0x8000) text += String.fromCharCode(...data.subarray(i, i + 0x8000));
  return btoa(text);
}
