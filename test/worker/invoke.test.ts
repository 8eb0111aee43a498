import { describe, expect, test } from '@jest/globals';

import { HandlerError, StoppedError } from '../../src/base/errors.ts';
import { createLog } from '../../src/base/log.ts';
import { invoke } from '../../src/worker/invoke.ts';
import type { Handler } from '../../src/worker/types.ts';

/** Waits until the job is stopped, and fails with the reason, as a good handler does. */
const untilStopped: Handler<unknown, never> = (_, { signal }) =>
  new Promise((_resolve, reject) => {
    const stop = (): void => reject(signal.reason as StoppedError);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
  });

describe('invoke', () => {
  test('hands the input over as it is, and the output back', async () => {
    const input = { a: null };
    const handler: Handler<typeof input> = (job) =>
      Promise.resolve({ same: job.input === input, id: job.id });
    expect(await invoke(handler, input, { id: 'j1' })).toEqual({ same: true, id: 'j1' });
  });

  test('gives an id, a signal, a silent log and a progress that goes nowhere', async () => {
    const output = await invoke((job, context) => {
      context.progress({ done: 1 });
      context.log.error('nobody hears this');
      return Promise.resolve([job.id, context.signal.aborted]);
    }, {});
    expect(output).toEqual([expect.stringMatching(/^[\da-f-]{36}$/), false]);
  });

  test('rejects with what the handler throws', async () => {
    const fault = new HandlerError('x', 'y');
    await expect(invoke(() => Promise.reject(fault), {})).rejects.toBe(fault);
    const throwing: Handler = () => {
      throw fault;
    };
    await expect(invoke(throwing, {})).rejects.toBe(fault);
  });

  test.each<[string, () => AbortSignal, string]>([
    ['a plain abort is a cancel', () => AbortSignal.abort(), 'cancelled'],
    ['a time-out is one', () => AbortSignal.timeout(1), 'timed_out'],
    ['a reason of ours stays', () => AbortSignal.abort(new StoppedError('shutdown', 's')), 'shutdown'],
  ])('%s', async (_, signal, code) => {
    const stopped = await invoke(untilStopped, {}, { signal: signal() }).catch((error: unknown) => error);
    expect(stopped).toBeInstanceOf(StoppedError);
    expect(stopped).toMatchObject({ code });
  });

  test('progress arrives in order, while the job runs and not after', async () => {
    const seen: unknown[] = [];
    let late: ((value: unknown) => void) | undefined;
    await invoke(
      (_, { progress }) => {
        late = progress;
        progress(1);
        progress(2);
        return Promise.resolve(null);
      },
      {},
      { onProgress: (value) => seen.push(value) },
    );
    late?.(3);
    expect(seen).toEqual([1, 2]);
  });

  test('a listener that fails does not fail the job', async () => {
    const lines: string[] = [];
    const output = await invoke(
      (_, { progress }) => {
        progress(1);
        return Promise.resolve('done');
      },
      {},
      {
        log: createLog({ write: (line) => lines.push(line) }),
        onProgress: () => {
          throw new Error('display is gone');
        },
      },
    );
    expect(output).toBe('done');
    expect(lines.join('')).toContain('display is gone');
  });

  test('every log line carries the job', async () => {
    const lines: string[] = [];
    const handler: Handler = (_, { log }) => {
      log.info('here');
      return Promise.resolve(null);
    };
    await invoke(handler, {}, { id: 'j7', log: createLog({ write: (line) => lines.push(line) }) });
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ requestId: 'j7' }),
    ]);
  });

  test("leaves nothing on the caller's signal", async () => {
    const listeners: string[] = [];
    const { signal } = new AbortController();
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners.push('added');
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners.push('removed');
      remove(...args);
    };
    await invoke(() => Promise.resolve(null), {}, { signal });
    expect(listeners).toEqual(['added', 'removed']);
  });
});
