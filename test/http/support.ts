import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TestServer {
  /** `http://127.0.0.1:port` */
  url: string;
  port: number;
  /** Sockets that were ever opened to it. */
  readonly sockets: number;
  /** Paths in the order in which they were asked for. */
  requests: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startServer(listener: RequestListener): Promise<TestServer> {
  let sockets = 0;
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    listener(request, response);
  });
  server.on('connection', () => {
    sockets += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    port,
    get sockets() {
      return sockets;
    },
    requests,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      });
    },
  };
}

/** Answers with these one after another; the last one for ever. */
export function inTurn(
  ...answers: ((response: ServerResponse, request: IncomingMessage) => void)[]
): RequestListener {
  let turn = 0;
  return (request, response) => {
    const answer = answers[Math.min(turn, answers.length - 1)];
    turn += 1;
    answer?.(response, request);
  };
}

/** The error a promise is rejected with; fails where it is fulfilled. */
export async function rejection(
  promise: Promise<unknown>,
): Promise<Error & { code?: string; retryable?: boolean }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}
