import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface ProxiedRequest {
  method: string;
  /** With its query. */
  path: string;
  body: string;
}

export interface TestProxy extends AsyncDisposable {
  url: string;
  readonly requests: readonly ProxiedRequest[];
  /**
   * Looks at each request before it is passed on: a status answers in the other server's place, `'drop'` ends the
   * connection, undefined passes it on. May take its time.
   */
  intercept: (request: ProxiedRequest) => Promise<number | 'drop' | undefined>;
}

/** A server in front of another one that counts what is asked of it and can answer in its place. */
export async function testProxy(target: string): Promise<TestProxy> {
  const requests: ProxiedRequest[] = [];
  const server = createServer((incoming, outgoing) => {
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
    } else if (instead !== undefined) {
      // As some servers do, it quotes what it was asked.
      const message = `not now: ${JSON.stringify(headers)}`;
      const answer = JSON.stringify({ message, status: { error: message } });
      outgoing.writeHead(instead, { 'content-type': 'application/json' }).end(answer);
    } else {
      const onward = forward(new URL(path, target), { method, headers });
      onward.on('error', () => outgoing.destroy());
      onward.on('response', (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
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
