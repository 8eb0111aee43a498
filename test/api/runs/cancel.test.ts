import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { cancelRun } from '../../../src/api/runs/cancel.ts';
import { RUN_KIND_NAMES } from '../../../src/api/runs/run-kinds.ts';
import { scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { addRun, rowOf, testRuns, type TestRuns } from '../../support/api/runs.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

let supabase: TestSupabase;
let runpod: ScriptedRunPod;
let runs: TestRuns;

beforeAll(async () => {
  supabase = await testSupabase();
});
afterAll(async () => {
  await supabase.close();
});
beforeEach(async () => {
  runpod = await scriptedRunPod();
  runs = testRuns(supabase, { embedding: runpod.endpoint, classification: runpod.endpoint });
  runpod.jobs.set('j', { id: 'j', status: 'IN_PROGRESS' });
});
afterEach(async () => {
  await runpod[Symbol.asyncDispose]();
});

test.each(RUN_KIND_NAMES)('cancels both, the row first: %s', async (kind) => {
  const id = await addRun(supabase, kind, { runpod_job_id: 'j' });
  let before: unknown;
  runpod.answer = async () => {
    before = (await rowOf(supabase, id)).status;
    return undefined;
  };
  expect(await cancelRun(runs, id)).toEqual({ id, kind, status: 'cancelled', ended_at_runpod: true });
  expect(before).toBe('cancelled');
  expect(runpod.jobs.get('j')?.status).toBe('CANCELLED');
  expect((await rowOf(supabase, id)).completed_at).not.toBeNull();
  // Again: nothing else happens.
  expect(await cancelRun(runs, id)).toMatchObject({ status: 'cancelled' });
});

test.each(['completed', 'failed'])('what is %s stays so', async (status) => {
  const id = await addRun(supabase, 'embedding', { status, runpod_job_id: 'j' });
  await expect(cancelRun(runs, id)).rejects.toMatchObject({ code: 'run_has_ended' });
  expect((await rowOf(supabase, id)).status).toBe(status);
  expect(runpod.requests).toEqual([]);
});

test('a run that there is not', async () => {
  await expect(cancelRun(runs, '839c284e-5ace-5b18-a087-25ceb89add55')).rejects.toMatchObject({
    code: 'run_not_found',
  });
});

test.each<[string, ScriptedRunPod['answer']]>([
  ['knows no such job', () => ({ status: 404 })],
  ['does not answer', () => ({ status: 401 })],
])('the row is cancelled where RunPod %s: its worker sees it', async (_, answer) => {
  const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
  runpod.answer = answer;
  expect(await cancelRun(runs, id)).toMatchObject({ status: 'cancelled', ended_at_runpod: false });
  expect((await rowOf(supabase, id)).status).toBe('cancelled');
});
