import { once } from 'node:events';
import { createServer, type Server } from 'node:http';

import { createAdaptorServer } from '@hono/node-server';

import { HandlerError, messageOf } from '../base/errors.ts';

export interface Listening {
  /** `http://127.0.0.1:{port}`, without a slash at its end. */
  readonly url: string;
  /** Answers under way are finished first, for so long. */
  close(withinMs: number): Promise<void>;
}

/** Longer than clients keep a connection, so that they close it and not the server, under their hands. */
export const SERVER_KEEP_ALIVE_MS = 65_000;

/** What listens at `localhost` may be one of two addresses, by the machine's own order: this is the one meant. */
const LOCALHOST = '127.0.0.1';

export interface ListenOptions {
  /** Answers requests: an app's `fetch`. */
  fetch: Parameters<typeof createAdaptorServer>[0]['fetch'];
  host: string;
  /** 0: any that is free. */
  port: number;
  /** For the error, where nobody can listen there: `the endpoint`, and what to do. */
  who: string;
  advice: string;
}

/** @throws HandlerError `cannot_listen` that names address and reason. */
export async function listen({ fetch, host, port, who, advice }: ListenOptions): Promise<Listening> {
  const adaptor = createAdaptorServer({
    fetch,
    createServer,
    serverOptions: { keepAliveTimeout: SERVER_KEEP_ALIVE_MS },
    // The handler in this process has the globals that it expects.
    overrideGlobalObjects: false,
  });
  const server = adaptor as Server;
  const bound = host === 'localhost' ? LOCALHOST : host;
  server.listen(port, bound);
  try {
    await once(server, 'listening');
  } catch (error) {
    const message = `${who} cannot listen at ${bound}, port ${port}: ${messageOf(error)}; ${advice}`;
    throw new HandlerError('cannot_listen', message, { cause: error });
  }
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the server has no port');
  return {
    url: `http://${bound.includes(':') ? `[${bound}]` : bound}:${address.port}`,
    async close(withinMs) {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), withinMs);
      await closed;
      clearTimeout(timer);
    },
  };
}
