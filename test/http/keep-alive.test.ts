import { once } from 'node:events';
import { tmpdir } from 'node:os';
import type { AddressInfo } from 'node:net';

import { describe, expect, test } from '@jest/globals';

import { listen } from '../../src/http/listen.ts';
import { startImageServer } from '../../src/local/images.ts';
import { createQdrantServer } from '../../src/local/qdrant/server.ts';
import { serve } from '../../src/local/supabase/serve.ts';
import { startFaultProxy } from '../support/chaos/fault-proxy.ts';
import { testProxy } from '../support/proxy.ts';
import { startServer } from './support.ts';

/** How long the clients of this package keep a connection that nobody uses, at the most. */
const CLIENT_KEEP_ALIVE_S = 15;

interface Opened {
  url: string;
  close: () => unknown;
}

const SERVERS: Record<string, () => Promise<Opened>> = {
  'the API and the endpoint': async () => {
    const who = { who: 'a test', advice: '', host: 'localhost', port: 0 };
    const listening = await listen({ fetch: () => new Response('ok'), ...who });
    return { url: listening.url, close: () => listening.close(0) };
  },
  'the local images': () => startImageServer({ folder: tmpdir() }),
  'the local Supabase': () =>
    serve(() => Promise.resolve(new Response('ok')), { port: 0, serviceKey: 'key' }),
  'the local Qdrant': async () => {
    const { server } = createQdrantServer(new Promise<never>(() => undefined), undefined);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, close: () => server.close().closeAllConnections() };
  },
};

const PROXIES = { 'a test’s proxy': testProxy, 'the proxy of faults': startFaultProxy };

describe('a connection is kept for longer than clients keep it', () => {
  const secondsOf = async (url: string): Promise<number> => {
    const response = await fetch(url);
    await response.text();
    return Number(/^timeout=(\d+)$/.exec(response.headers.get('keep-alive') ?? '')?.[1]);
  };

  test.each(Object.keys(SERVERS))('by %s', async (name) => {
    const opened = await SERVERS[name]?.();
    try {
      expect(await secondsOf(opened?.url ?? '')).toBeGreaterThan(CLIENT_KEEP_ALIVE_S);
    } finally {
      await opened?.close();
    }
  });

  test.each(Object.entries(PROXIES))(
    'by %s, whatever the server behind it says of its own',
    async (_, start) => {
      await using server = await startServer((request, response) => {
        response.writeHead(200, { connection: 'keep-alive', 'keep-alive': 'timeout=1' }).end('ok');
      });
      await using proxy = await start(server.url);
      expect(await secondsOf(proxy.url)).toBeGreaterThan(CLIENT_KEEP_ALIVE_S);
    },
  );
});

test.each(Object.entries(PROXIES))('%s: a server behind it may close what nobody uses', async (_, start) => {
  await using server = await startServer((_, response) => response.end('ok'));
  await using proxy = await start(server.url);
  for (let i = 0; i < 3; i += 1) expect(await (await fetch(proxy.url)).text()).toBe('ok');
  expect(server.sockets).toBe(3);
});
