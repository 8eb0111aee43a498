import { once } from 'node:events';
import {
  createServer,
  request as forward,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

import { SERVER_KEEP_ALIVE_MS } from '../../src/http/listen.ts';

interface ProxiedRequest {
  method: string;
  /** With its query. */
  path: string;
  body: string;
}

export interface TestProxy extends AsyncDisposable {
  url: string;
  readonly requests: readonly ProxiedRequest[];
  /** Looks at each request before it is passed on. May take its time. */
  intercept: (request: ProxiedRequest) => Promise<Instead | undefined>;
}

/**
 * What is done in place of passing a request on: an answer in the other server's place, by its status or with words of
 * its own; `'drop'` ends the connection; `'drop_answer'` passes the request on and ends the connection then.
 */
export type Instead =
  number | { status: number; error: string; headers?: Record<string, string> } | 'drop' | 'drop_answer';

/** Of a server in front of another one. To that one each request has a connection of its own: none grows old. */
export const PROXY_OPTIONS = { keepAliveTimeout: SERVER_KEEP_ALIVE_MS };

/** Headers without those that speak of one connection alone: what the other server promises of its own is not ours. */
export function withoutHop(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...rest } = headers;
  return rest;
}

/** A server in front of another one that counts what is asked of it and can answer in its place. */
export async function testProxy(target: string): Promise<TestProxy> {
  const requests: ProxiedRequest[] = [];
  const server = createServer(PROXY_OPTIONS, (incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });

  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { method = 'GET', url: path = '/', headers } = incoming;
    const asked = { method, path, body: body.toString() };
    requests.push(asked);
    const instead = await proxy.intercept(asked);
    if (instead === 'drop') {
      outgoing.destroy();
    } else if (instead !== undefined && instead !== 'drop_answer') {
      // As some servers do, it quotes what it was asked.
      const {
        status,
        error,
        headers: more = {},
      } = typeof instead === 'object'
        ? instead
        : { status: instead, error: `not now: ${JSON.stringify(headers)}` };
      const answer = JSON.stringify({ message: error, status: { error } });
      outgoing.writeHead(status, { 'content-type': 'application/json', ...more }).end(answer);
    } else {
      const onward = forward(new URL(path, target), { method, headers: withoutHop(headers), agent: false });
      onward.on('error', () => outgoing.destroy());
      onward.on('response', (answer) => {
        if (instead === 'drop_answer') {
          outgoing.destroy();
          answer.resume();
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 502, withoutHop(answer.headers));
        answer.pipe(outgoing);
      });
      onward.end(body);
    }
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: TestProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    intercept: () => Promise.resolve(undefined),
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return proxy;
}
