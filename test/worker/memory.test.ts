import { expect, test } from '@jest/globals';

import { startSimulator } from '../../src/worker/simulator/simulator.ts';
import { resultOf, startWorker } from './support.ts';

/** Until all code is compiled and every cache has its size. */
const WARM_UP_JOBS = 2_000;
const JOBS = 4_000;
/** One entry of a map or one listener that a job left behind takes more. */
const MAX_BYTES_PER_JOB = 100;

/** Reports progress as a real job does, and says how much is in use after a collection where it is asked. */
const HANDLER = `async ({ input }, { progress, signal }) => {
  progress(input);
  signal.addEventListener('abort', () => undefined);
  if (!input.measure) return input;
  for (let i = 0; i < 4; i++) { gc(); await sleep(10); }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}`;

test('a job leaves nothing behind in the worker', async () => {
  await using simulator = await startSimulator({ maxRequests: 0 });
  await using worker = await startWorker(simulator, {
    handler: HANDLER,
    before: `
      import { setFlagsFromString } from 'node:v8';
      import { runInNewContext } from 'node:vm';
      setFlagsFromString('--expose-gc');
      const gc = runInNewContext('gc');`,
    options: '{ concurrency: 16 }',
    env: { LOG_LEVEL: 'error' },
  });
  const run = async (count: number): Promise<number> => {
    const goal = simulator.finals + count;
    for (let i = 0; i < count; i++) simulator.submit({ i });
    await simulator.waitFor(() => simulator.finals >= goal, { timeoutMs: 50_000, what: `${count} jobs` });
    const measured = await resultOf(simulator, simulator.submit({ measure: true }));
    return Number(measured.output);
  };
  const before = await run(WARM_UP_JOBS);
  const after = await run(JOBS);
  expect((after - before) / JOBS).toBeLessThan(MAX_BYTES_PER_JOB);
  expect(worker.log()).toBe('');
}, 120_000);
