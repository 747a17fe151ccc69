// The daemon's HTTP, by relative addresses, so that a proxy may put it anywhere. docs/api.md describes it.

/** live false: it is read now and then, and is in the history only. made_of: the kinds that it is put together of. merge mean: a level, such as memory in use. */
export interface Kind { name: string; unit: string; period?: number; active: boolean; problem?: string; live?: boolean; merge?: string; made_of?: string[] }
export interface KindStatus extends Kind { fired: number; samples: number; lost: Record<string, number> }
export interface Push {
  target: string; url?: string; requests: Record<string, number>; pushed: number; dropped: Record<string, number>;
  spooled_bytes: number; spooled_files: number; last_error?: string; last_success?: string;
}
export interface Status {
  version: string; started: string; uptime_seconds: number; ready: boolean; waiting?: string; kinds: KindStatus[];
  overhead: { kernel_seconds: number; user_seconds: number; rss_bytes: number; kernel_bytes: number; cpus?: number };
  counting?: { events: string[]; cannot: { events: string[]; problem: string }[] };
  store?: { bytes: number; oldest?: string; newest?: string; paused?: string; dropped: Record<string, number>; corrupt: number };
  push: Push[];
}
export interface Service { name: string; series: Record<string, string>[] }
export interface Timeline { kind: string; unit: string; from: string; to: string; bucket_seconds: number; values: (number | null)[]; lost: number[] }

export class APIError extends Error {
  constructor(readonly status: number, message: string, readonly parameter = '') { super(message); }
}

type Query = Record<string, string | number | undefined>;

export function address(path: string, query: Query = {}): string {
  const p = new URLSearchParams();
  for (const [k, v] of Object.entries(query)) if (v !== undefined && v !== '') p.set(k, String(v));
  const q = p.toString();
  return 'api/v1/' + path + (q ? '?' + q : '');
}

/** Sends a request. An answer that is none becomes an APIError with the daemon's own words. */
export async function request(url: string, signal?: AbortSignal): Promise<Response> {
  let r: Response;
  try {
    r = await fetch(url, { signal, credentials: 'same-origin' });
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new APIError(0, 'the daemon does not answer');
  }
  if (r.ok) return r;
  let message = `the daemon answers ${r.status}`, parameter = '';
  try {
    const body = await r.json() as { error?: string; parameter?: string };
    if (body.error) message = body.error;
    parameter = body.parameter ?? '';
  } catch {
    // An error without JSON is a proxy's; the number says what can be said.
  }
  throw new APIError(r.status, message, parameter);
}

async function json<T>(url: string, signal?: AbortSignal): Promise<T> {
  return (await request(url, signal)).json() as Promise<T>;
}

export const status = (signal?: AbortSignal) => json<Status>(address('status'), signal);
export const kinds = async (signal?: AbortSignal) => (await json<{ kinds: Kind[] }>(address('kinds'), signal)).kinds;
export const services = async (q: Query, signal?: AbortSignal) => (await json<{ services: Service[] }>(address('services', q), signal)).services;
export const timeline = (q: Query, signal?: AbortSignal) => json<Timeline>(address('timeline', q), signal);
export const stacks = (q: Query, signal?: AbortSignal) => json<unknown>(address('profile', { ...q, format: 'stacks' }), signal);

/** Unix ms of a time in the API's notation, or NaN. */
export function instant(text: string, now: number): number {
  if (text === '' || text === 'now') return now;
  const relative = /^now-((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)$/.exec(text);
  if (relative) {
    const unit: Record<string, number> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };
    let t = now;
    for (const [, n, u] of relative[1].matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) t -= Number(n) * unit[u];
    return t;
  }
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1e3;
  return Date.parse(text);
}

/** Unix ms in the API's notation. */
export const seconds = (ms: number): string => (ms / 1e3).toFixed(3).replace(/\.?0+$/, '');
