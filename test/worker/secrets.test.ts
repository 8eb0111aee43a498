import { expect, test } from '@jest/globals';

import { startSimulator } from '../../src/worker/simulator/simulator.ts';
import { resultOf, startWorker } from './support.ts';

const SECRETS = {
  supabase_service_key: 'eyJhbGciOiJIUzI1NiJ9.secret-one.secret-one',
  qdrant_api_key: 'odd secret two/+=',
  image: 'https://bucket.example.invalid/a.png?X-Amz-Signature=secret-three',
  nested: { hf_token: 'hf_secretfour1234567890' },
};
const NEVER = [/secret-one/, /secret two|secret%20two/, /secret-three/, /secretfour/, /simulated-api-key/];

/** Puts everything it is given wherever a handler can put anything. */
const HANDLER = `async (job, { log, progress }) => {
  const { input } = job;
  if (input.output) return { error: 'refused: ' + JSON.stringify(input) };
  log.info('A job with ' + input.image, { input });
  log.child({ input }).warn('again', { text: input.image });
  progress({ at: 1 });
  if (input.fail) throw new Error('failed on ' + JSON.stringify(input));
  return 'fine';
}`;

test('nothing that a job with secrets logs, or fails with, shows one', async () => {
  await using simulator = await startSimulator();
  // Among the rest, failing takes and posts: their errors are logged too.
  simulator.script({ route: 'done', outcome: { status: 500 }, times: 1 });
  simulator.script({ route: 'take', outcome: 'cut', times: 1 });
  await using worker = await startWorker(simulator, { handler: HANDLER });
  for (const extra of [{}, { fail: true }, { output: true }]) {
    await resultOf(simulator, simulator.submit({ ...SECRETS, ...extra }));
  }
  worker.kill('SIGTERM');
  expect(await worker.ended).toBe(0);
  const posted = simulator.requests.map(({ path, query, body }) => JSON.stringify({ path, query, body }));
  for (const secret of NEVER) expect(`${worker.log()}${posted.join('\n')}`).not.toMatch(secret);
});

test('in the cloud each line is one JSON object, with the id of its job, and long values are cut', async () => {
  await using simulator = await startSimulator();
  await using worker = await startWorker(simulator, {
    handler: `async (job, { log }) => { log.info('Long', { text: 'x'.repeat(100_000) }); return 1; }`,
  });
  const id = simulator.submit({});
  await resultOf(simulator, id);
  worker.kill('SIGTERM');
  await worker.ended;
  const lines = worker.log().trim().split('\n');
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const entry of entries)
    expect(entry).toMatchObject({ message: expect.any(String), level: expect.any(String) });
  expect(entries.find(({ message }) => message === 'Long')).toMatchObject({ requestId: id, level: 'info' });
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(10_000);
});
