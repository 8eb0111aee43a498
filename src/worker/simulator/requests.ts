import type { IncomingMessage } from 'node:http';

import type { RecordedRequest } from './record.ts';
import type { Route } from './rules.ts';

export interface Target {
  path: string;
  query: Readonly<Record<string, string>>;
}

interface Address extends Target {
  route: Route;
  workerId: string;
  jobId: string | undefined;
}

const ADDRESSES: Readonly<Record<string, { route: Route; job: boolean; method: string }>> = {
  'job-take': { route: 'take', job: false, method: 'GET' },
  'job-take-batch': { route: 'take-batch', job: false, method: 'GET' },
  'job-stop': { route: 'stop', job: false, method: 'GET' },
  'job-done': { route: 'done', job: true, method: 'POST' },
  'job-stream': { route: 'stream', job: true, method: 'POST' },
  ping: { route: 'ping', job: false, method: 'GET' },
};

export function targetOf(url: string): Target {
  const mark = url.indexOf('?');
  if (mark === -1) return { path: url, query: {} };
  return { path: url.slice(0, mark), query: Object.fromEntries(new URLSearchParams(url.slice(mark + 1))) };
}

/** Which call of the worker's protocol this is: `/v2/{endpoint}/{call}/{worker}[/{job}]`; undefined where it is none. */
export function addressOf(target: Target, method: string): Address | undefined {
  const [, version, , call = '', workerId = '', jobId, ...rest] = target.path.split('/');
  const known = Object.hasOwn(ADDRESSES, call) ? ADDRESSES[call] : undefined;
  if (known === undefined || version !== 'v2' || rest.length > 0 || method !== known.method) return undefined;
  if (workerId === '' || known.job !== (jobId !== undefined && jobId !== '')) return undefined;
  return {
    ...target,
    route: known.route,
    workerId: decodeURIComponent(workerId),
    jobId: jobId === undefined ? undefined : decodeURIComponent(jobId),
  };
}

/** The whole body as text. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

const PROGRESS = /"status"\s*:\s*"IN_PROGRESS"/;

/** The request as it is recorded; a post of progress is told from a final one by the `status` of its body. */
export function recordedRequest(address: Address, request: IncomingMessage, body: string): RecordedRequest {
  const isProgress = address.route === 'done' && PROGRESS.test(body) && hasStatus(body);
  return {
    ...address,
    route: isProgress ? 'progress' : address.route,
    time: performance.timeOrigin + performance.now(),
    method: request.method ?? '',
    headers: request.headers,
    body,
  };
}

function hasStatus(body: string): boolean {
  try {
    return (JSON.parse(body) as { status?: unknown } | null)?.status === 'IN_PROGRESS';
  } catch {
    return false;
  }
}
