import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

import { jest } from '@jest/globals';

/** A server that is away until its clock says otherwise; the clock stands still but for `pass`. */
export interface AwayServer extends AsyncDisposable {
  url: string;
  /** Seconds since the clock was stopped. */
  seconds(): number;
  /** Lets the clock run whenever everybody waits for it, until the promise is settled. */
  pass<T>(promise: Promise<T>): Promise<T>;
}

/** Longer than a try's wait is long, and shorter than its time-out. */
const TICK_MS = 1_000;
/** Turns of the event loop in which a request on this machine is answered. */
const TURNS = 40;

/** Answers 503 for so many seconds, and then with this. Real sockets; timers and `performance` are the test's. */
export async function awayFor(awaySeconds: number, body: unknown): Promise<AwayServer> {
  let begun = 0;
  const seconds = (): number => (performance.now() - begun) / 1_000;
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const isAway = seconds() < awaySeconds;
      response.writeHead(isAway ? 503 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(isAway ? { message: 'away', status: { error: 'away' } } : body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // What the sockets themselves need runs on.
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'clearImmediate', 'nextTick', 'queueMicrotask', 'Date'] });
  begun = performance.now();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seconds,
    async pass(promise) {
      let settled = false;
      const done = promise.finally(() => (settled = true));
      done.catch(() => undefined);
      // It changes while the clock runs, which the compiler does not see.
      const isSettled = (): boolean => settled;
      while (!isSettled()) {
        for (let i = 0; i < TURNS && !isSettled(); i += 1) await turn();
        if (!isSettled()) await jest.advanceTimersByTimeAsync(TICK_MS);
      }
      return done;
    },
    async [Symbol.asyncDispose]() {
      jest.useRealTimers();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
