import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { rejection } from '../http/support.ts';
import { connectRunPod } from '../../src/worker/runpod-platform.ts';
import { startSimulator, type Simulator } from '../../src/worker/simulator/simulator.ts';

let simulator: Simulator;
beforeEach(async () => {
  simulator = await startSimulator();
});
afterEach(async () => {
  await simulator.close();
});

/** Delivers a result, and gives what came of it. */
async function deliver(jobId: string): Promise<void> {
  const { RUNPOD_WEBHOOK_GET_JOB, RUNPOD_WEBHOOK_POST_OUTPUT, RUNPOD_AI_API_KEY } = simulator.env('w1');
  const settings = { RUNPOD_WEBHOOK_GET_JOB, RUNPOD_WEBHOOK_POST_OUTPUT, RUNPOD_AI_API_KEY };
  const platform = connectRunPod(settings, 'w1', SILENT_LOG);
  try {
    await platform.take(1, false, new AbortController().signal);
    const { signal } = new AbortController();
    const result = { jobId, body: '{"output":1}', isStream: false, timedOut: false };
    await platform.done({ ...result, signal, patienceMs: 20_000 });
  } finally {
    await platform.close();
  }
}

test.each([408, 425, 429, 500, 503])('a result that meets %d is posted again', async (status) => {
  const headers = { 'retry-after': '0' };
  simulator.script({ route: 'done', outcome: { status, headers }, times: 1 });
  const id = simulator.submit({});
  await deliver(id);
  expect(simulator.results.get(id)).toHaveLength(1);
});

test.each([400, 404, 413])('a result that meets %d is not', async (status) => {
  simulator.script({ route: 'done', outcome: { status }, times: 1 });
  const id = simulator.submit({});
  expect(await rejection(deliver(id))).toMatchObject({ code: `http_${status}`, retryable: false });
  expect(simulator.results.get(id)).toBeUndefined();
});
