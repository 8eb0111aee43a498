import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { SERVER_KEEP_ALIVE_MS } from '../../http/listen.ts';

/** What stands behind the HTTP server. */
export type Answer = (request: Request) => Promise<Response>;

const HOST = '127.0.0.1';

/** Objects that a signed url or a public bucket opens need no key. */
const KEYLESS = /^\/storage\/v1\/(?:object|render\/image)\/(?:sign|public)\//;
const SERVED = /^\/(?:rest|storage)\/v1\//;

/** Serves `answer` over HTTP on the loopback address, to those who send the key. */
export async function serve(
  answer: Answer,
  { port, serviceKey }: { port: number; serviceKey: string },
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer({ keepAliveTimeout: SERVER_KEEP_ALIVE_MS }, (incoming, outgoing) => {
    respond(incoming, outgoing).catch((error: unknown) => {
      outgoing.destroy(error instanceof Error ? error : undefined);
    });
  });

  const respond = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const request = await toRequest(incoming);
    const { pathname } = new URL(request.url);
    const isDownload = request.method === 'GET' && KEYLESS.test(pathname);
    if (!SERVED.test(pathname)) return send(outgoing, refusal(404, 'nothing is served here'));
    if (!isDownload && !hasKey(request, serviceKey)) return send(outgoing, refusal(401, 'Invalid API key'));
    await send(outgoing, await answer(request));
  };

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, resolve);
  });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    });
  return { url: `http://${HOST}:${String((server.address() as AddressInfo).port)}`, close };
}

/** The body is read at once: a request must not wait for its sender while it holds the database. */
async function toRequest(incoming: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  const { method = 'GET', url = '/' } = incoming;
  const hasBody = method !== 'GET' && method !== 'HEAD';
  return new Request(new URL(url, `http://${incoming.headers.host ?? HOST}`), {
    method,
    headers,
    ...(hasBody ? { body: Buffer.concat(chunks) } : {}),
  });
}

async function send(outgoing: ServerResponse, response: Response): Promise<void> {
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) outgoing.end();
  else await pipeline(Readable.fromWeb(response.body), outgoing);
}

function hasKey(request: Request, key: string): boolean {
  const given = Buffer.from(request.headers.get('apikey') ?? '');
  const wanted = Buffer.from(key);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function refusal(status: number, message: string): Response {
  return Response.json({ message, hint: null, details: null, code: '' }, { status });
}
