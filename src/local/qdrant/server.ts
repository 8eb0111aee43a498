import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import type { PGlite } from '@electric-sql/pglite';

import { messageOf } from '../../base/errors.ts';
import { SERVER_KEEP_ALIVE_MS } from '../../http/listen.ts';
import { badBody, Fault, unsupported } from './fault.ts';
import { parseExact, stringifyExact } from './json.ts';
import { QDRANT_VERSION, ROUTES, type Result } from './routes.ts';

/** Qdrant's own default, `max_request_size_mb: 32`. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/** What one node does anyway: every write is ordered, and every read sees it. */
const HARMLESS_QUERY = new Set(['wait', 'ordering', 'timeout', 'consistency']);

/** What a load balancer asks, and the client for the version: no key is needed. */
const PUBLIC: ReadonlyMap<string, { type: string; body: string }> = new Map([
  [
    '/',
    {
      type: 'application/json',
      body: JSON.stringify({ title: 'qdrant - vector search engine', version: QDRANT_VERSION }),
    },
  ],
  ...['healthz', 'livez', 'readyz'].map(
    (name) => [`/${name}`, { type: 'text/plain', body: `${name} check passed` }] as const,
  ),
]);

export interface QdrantServer {
  server: Server;
  /** Resolves when no request is being answered. */
  idle(): Promise<void>;
}

/** Speaks Qdrant's REST API, in its forms of success and failure; requests wait for the database to be open. */
export function createQdrantServer(database: Promise<PGlite>, apiKey: string | undefined): QdrantServer {
  const running = new Set<Promise<void>>();
  const server = createServer({ keepAliveTimeout: SERVER_KEEP_ALIVE_MS }, (request, response) => {
    const answering = answer({ request, response, database, apiKey }).finally(() =>
      running.delete(answering),
    );
    running.add(answering);
  });
  return {
    server,
    idle: async () => {
      await Promise.allSettled(running);
    },
  };
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  database: Promise<PGlite>;
  apiKey: string | undefined;
}

async function answer({ request, response, database, apiKey }: Exchange): Promise<void> {
  const begun = performance.now();
  const url = new URL(request.url ?? '/', 'http://qdrant');
  const open = request.method === 'GET' ? PUBLIC.get(url.pathname) : undefined;
  let status = 200;
  let fields: string;
  try {
    if (open !== undefined) {
      send(response, 200, open.body, open.type);
      return;
    }
    checkKey(request, apiKey);
    const result = await run(request, url, await database);
    fields = `"result":${'json' in result ? result.json : stringifyExact(result.value)},"status":"ok"`;
  } catch (error) {
    status = error instanceof Fault ? error.status : 500;
    const message = error instanceof Fault ? error.message : `Service internal error: ${messageOf(error)}`;
    fields = `"status":${JSON.stringify({ error: message })}`;
    // Whatever is left of the request is read and dropped, or the client would see a broken connection.
    request.resume();
  }
  const seconds = (performance.now() - begun) / 1_000;
  send(response, status, `{${fields},"time":${JSON.stringify(seconds)}}`, 'application/json');
}

function send(response: ServerResponse, status: number, body: string, type: string): void {
  const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, headers).end(body);
}

async function run(request: IncomingMessage, url: URL, database: PGlite): Promise<Result> {
  const segments = url.pathname.replace(/^\/|\/$/g, '').split('/');
  const method = request.method ?? 'GET';
  const found = ROUTES.find((route) => route.method === method && fits(route.path, segments));
  if (found === undefined) throw unsupported(`${method} ${url.pathname}`);
  const strange = [...url.searchParams.keys()].filter((key) => !HARMLESS_QUERY.has(key));
  if (strange.length > 0) throw unsupported(`query parameter ${strange.join(', ')}`);
  const names = segments.filter((_, i) => found.path[i] === '*').map(decode);
  const body = method === 'GET' || method === 'DELETE' ? undefined : parseExact(await readBody(request));
  return found.run({ database, names, body, wait: url.searchParams.get('wait') === 'true' });
}

function fits(path: readonly string[], segments: readonly string[]): boolean {
  return (
    path.length === segments.length &&
    path.every((part, i) => part === segments[i] || (part === '*' && segments[i] !== ''))
  );
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badBody('the path is not valid percent-encoded text');
  }
}

function checkKey(request: IncomingMessage, apiKey: string | undefined): void {
  if (apiKey === undefined) return;
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const given = request.headers['api-key'] ?? bearer;
  if (given === undefined) throw new Fault(401, 'Must provide an API key or an Authorization bearer token');
  if (given !== apiKey) throw new Fault(401, 'Invalid API key or JWT');
}

async function readBody(request: IncomingMessage): Promise<string> {
  const tooLarge = new Fault(
    413,
    `Payload error: JSON payload is larger than allowed (limit: ${String(MAX_BODY_BYTES)} bytes).`,
  );
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge;
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not a loop over the request: leaving that early would destroy the connection before the answer.
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
    else reject(tooLarge);
  });
  request.on('end', () => {
    resolve(undefined);
  });
  request.on('close', () => {
    reject(badBody('the request was cut off'));
  });
  await promise;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw badBody('invalid unicode');
  }
}
