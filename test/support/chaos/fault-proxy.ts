import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { PROXY_OPTIONS, withoutHop } from '../proxy.ts';
import type { AskedRequest, Fault } from './schedule.ts';

/** A server in front of another one, where requests meet faults. */
export interface FaultProxy extends AsyncDisposable {
  url: string;
  /** Looks at each request as it comes. */
  meet: (request: AskedRequest) => { fault?: Fault | undefined; delayMs?: number };
  /** Resolves when nothing is on its way to the other server: what a killed client has sent included. */
  idle(): Promise<void>;
}

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const underWay = new Set<Promise<void>>();

  const ask = async (incoming: IncomingMessage, body: Buffer): Promise<Answer> => {
    const { method = 'GET', url = '/', headers } = incoming;
    const onward = forward(new URL(url, target), { method, headers: withoutHop(headers), agent: false });
    onward.end(body);
    const [answer] = (await once(onward, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return { status: answer.statusCode ?? 502, headers: answer.headers, body: Buffer.concat(chunks) };
  };

  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { method = 'GET', url = '/' } = incoming;
    const path = url.split('?')[0] ?? '';
    const { fault, delayMs = 0 } = proxy.meet({ method, path, body: body.toString() });
    if (delayMs > 0) await sleep(delayMs);
    if (fault?.kind === 'status') {
      refuse(outgoing, fault);
    } else if (fault?.kind === 'cut_before') {
      outgoing.destroy();
    } else if (fault?.kind === 'stall') {
      await sleep(fault.ms);
      outgoing.destroy();
    } else {
      await tell(outgoing, await ask(incoming, body), fault);
    }
  };

  const server = createServer(PROXY_OPTIONS, (incoming, outgoing) => {
    const passing = pass(incoming, outgoing)
      .catch(() => outgoing.destroy())
      .then(() => void underWay.delete(passing));
    underWay.add(passing);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    meet: () => ({}),
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return proxy;
}

function refuse(outgoing: ServerResponse, { status, retryAfter }: Fault & { kind: 'status' }): void {
  const message = 'not now';
  outgoing.writeHead(status, {
    'content-type': 'application/json',
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
  });
  outgoing.end(JSON.stringify({ message, status: { error: message } }));
}

async function tell(
  outgoing: ServerResponse,
  { status, headers, body }: Answer,
  fault: Fault | undefined,
): Promise<void> {
  if (fault?.kind === 'cut_after') {
    outgoing.destroy();
    return;
  }
  const length = headers['content-length'] ?? (status === 204 ? undefined : String(body.length));
  outgoing.writeHead(status, {
    ...withoutHop(headers),
    ...(length !== undefined && { 'content-length': length }),
  });
  if (fault === undefined) {
    outgoing.end(body);
    return;
  }
  // The length that was promised is that of the whole.
  await new Promise<void>((resolve) => {
    outgoing.write(body.subarray(0, body.length >> 1), () => resolve());
  });
  if (fault.kind === 'ends_early') outgoing.socket?.end();
  else outgoing.destroy();
}
