import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import type { PGlite } from '@electric-sql/pglite';

import { openDatabase } from './database.ts';
import { createQdrantServer } from './server.ts';

export interface LocalQdrantOptions {
  /** Where everything is kept; in memory where absent. One process at a time. */
  dataDir?: string | undefined;
  /** Any free one where absent. */
  port?: number | undefined;
  /** Asked for in every request where given. */
  apiKey?: string | undefined;
}

export interface LocalQdrant extends AsyncDisposable {
  /** On the loopback interface only. */
  url: string;
  apiKey: string | undefined;
  /** Lets running requests end, then stops. */
  close(): Promise<void>;
}

/**
 * A server for what the official client asks in a job and in a search, with Qdrant's answers: collections, aliases,
 * payload indexes, points, filters, exact nearest neighbours. For one machine and for tests; not for many vectors, as
 * every search reads them all. What it does not know it refuses by name.
 */
export async function startLocalQdrant(options: LocalQdrantOptions = {}): Promise<LocalQdrant> {
  const { dataDir, port = 0, apiKey } = options;
  const { promise: database, resolve, reject } = Promise.withResolvers<PGlite>();
  const served = createQdrantServer(database, apiKey);
  const { server } = served;
  const stopListening = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    await served.idle();
    server.closeAllConnections();
    await closed;
  };

  // The port first: where it is taken, another one may be at work in the same folder.
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  openDatabase(dataDir).then(resolve, reject);
  try {
    await database;
  } catch (error) {
    await stopListening();
    throw error;
  }

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= stopListening().then(async () => {
      await (await database).close();
    }));
  const { port: bound } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${String(bound)}`, apiKey, close, [Symbol.asyncDispose]: close };
}
