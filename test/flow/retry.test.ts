import { expect, test } from '@jest/globals';

import { HandlerError, StoppedError } from '../../src/base/errors.ts';
import { MAX_RETRY_AFTER_MS, retry, storeRetry, type RetryOptions } from '../../src/flow/retry.ts';

const busy = (retryAfterMs?: number): HandlerError =>
  new HandlerError('busy', 'busy', {
    retryable: true,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });

test('tries again while the error says so, and gives the last error', async () => {
  let tries = 0;
  const attempt = (): Promise<string> => (++tries < 3 ? Promise.reject(busy()) : Promise.resolve('done'));
  expect(await retry(attempt, { baseDelayMs: 1 })).toBe('done');
  expect(tries).toBe(3);

  tries = 0;
  const hopeless = (): Promise<string> =>
    Promise.reject(new HandlerError('busy', String(++tries), { retryable: true }));
  await expect(retry(hopeless, { attempts: 4, baseDelayMs: 1 })).rejects.toThrow('4');
});

test('never tries again what is final, whatever its text', async () => {
  let tries = 0;
  const final = (): Promise<never> => {
    tries++;
    return Promise.reject(new HandlerError('refused', 'timeout, please retry'));
  };
  await expect(retry(final)).rejects.toMatchObject({ code: 'refused' });
  const foreign = (): Promise<never> => {
    tries++;
    return Promise.reject(new Error('ECONNRESET'));
  };
  await expect(retry(foreign)).rejects.toThrow('ECONNRESET');
  expect(tries).toBe(2);
});

test('waits as long as the other side asks, and backs off otherwise', async () => {
  const delays: number[] = [];
  const onRetry = (_: HandlerError, delayMs: number): void => void delays.push(delayMs);
  await expect(
    retry(() => Promise.reject(busy(30)), { attempts: 3, baseDelayMs: 1, onRetry }),
  ).rejects.toThrow('busy');
  expect(delays).toEqual([30, 30]);
  delays.length = 0;
  await expect(
    retry(() => Promise.reject(busy()), { attempts: 5, baseDelayMs: 4, maxDelayMs: 16, onRetry }),
  ).rejects.toThrow();
  for (const [i, ceiling] of [4, 8, 16, 16].entries()) {
    expect(delays[i]).toBeGreaterThanOrEqual(ceiling / 2);
    expect(delays[i]).toBeLessThanOrEqual(ceiling);
  }
});

test('begins no try after its deadline, and stops waiting when told to stop', async () => {
  let tries = 0;
  const attempt = (): Promise<never> => {
    tries++;
    return Promise.reject(busy(60_000));
  };
  await expect(retry(attempt, { deadlineMs: 1_000 })).rejects.toThrow('busy');
  expect(tries).toBe(1);

  const controller = new AbortController();
  const waiting = retry(attempt, { signal: controller.signal });
  controller.abort(new StoppedError('shutdown', 'the platform stops this worker'));
  await expect(waiting).rejects.toMatchObject({ code: 'shutdown' });
  expect(tries).toBeLessThanOrEqual(2);
});

test('a wait of hours is not believed: where no deadline makes it vain, it is cut', async () => {
  const waited = async (options: RetryOptions): Promise<number | undefined> => {
    const stop = new AbortController();
    let delay: number | undefined;
    const onRetry = (_: HandlerError, delayMs: number): void => {
      delay = delayMs;
      stop.abort(new StoppedError('cancelled', 'enough'));
    };
    const attempt = (): Promise<never> => Promise.reject(busy(3_600_000));
    await expect(retry(attempt, { ...options, signal: stop.signal, onRetry })).rejects.toThrow();
    return delay;
  };
  expect(await waited({})).toBe(MAX_RETRY_AFTER_MS);
  // A host that asks for an hour is not asked again within two minutes; a store that holds our vectors is.
  expect(await waited({ deadlineMs: 120_000 })).toBeUndefined();
  expect(await waited(storeRetry(120_000, undefined))).toBe(MAX_RETRY_AFTER_MS);
  expect(await waited(storeRetry(30_000, undefined))).toBeUndefined();
});

test('a store is asked again until its patience ends, however often that is', async () => {
  const delays: number[] = [];
  const options = { ...storeRetry(300, undefined), baseDelayMs: 1, maxDelayMs: 4 };
  const onRetry = (_: HandlerError, delayMs: number): void => void delays.push(delayMs);
  await expect(retry(() => Promise.reject(busy()), { ...options, onRetry })).rejects.toThrow('busy');
  expect(delays.length).toBeGreaterThan(10);
});
