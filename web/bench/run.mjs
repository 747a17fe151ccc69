// Measures layout and drawing in headless Chromium without a GPU: npm run bench [-- NODES,NODES [SECONDS]];
// with SECONDS, what a page holds that is left open, too (NODES 0: that only). Needs chromium and what
// go generate made of the script. Prints one JSON object for each number of nodes.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const nodes = process.argv[2] ?? '10000,100000,1000000';
const soak = process.argv[3] ?? '';
const built = new URL('../../build/page-bench/', import.meta.url).pathname;
const dist = new URL('../dist/', import.meta.url).pathname;
const worker = readdirSync(dist).find((f) => /^main-.*\.js$/.test(f));
const page = `<!doctype html><meta name="worker" content="/dist/${worker}"><script type="module" src="/bench/page.js"></script>`;
const profile = mkdtempSync(join(tmpdir(), 'page-bench-'));
let browser;

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://x');
  if (request.method === 'POST') {
    let body = '';
    request.on('data', (d) => (body += d)).on('end', () => {
      response.end();
      if (!JSON.parse(body).done) return console.log(body);
      browser.kill();
      server.close();
    });
    return;
  }
  if (pathname === '/') return response.setHeader('content-type', 'text/html').end(page);
  try {
    const file = pathname.startsWith('/dist/') ? join(dist, pathname.slice(6)) : join(built, pathname);
    response.setHeader('content-type', 'text/javascript').end(readFileSync(file));
  } catch {
    response.writeHead(404).end();
  }
});

server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${server.address().port}/?nodes=${nodes}&soak=${soak}`;
  browser = spawn(process.env.CHROMIUM ?? 'chromium', ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
    '--enable-precise-memory-info', '--js-flags=--expose-gc',
    '--window-size=1600,1000', `--user-data-dir=${profile}`, url], { stdio: 'ignore' });
  browser.on('exit', () => {
    server.close();
    server.closeAllConnections();
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }); // its children still end
  });
});
