import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { expect, test } from '@jest/globals';

import { startSimulator } from '../../src/worker/simulator/simulator.ts';
import { startEndpointProcess } from './endpoint/support.ts';
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

/** As above, and in pieces. */
const STREAMING = `(job, context) => {
  const plain = ${HANDLER};
  if (!job.input.pieces) return plain(job, context);
  return (async function* () {
    yield 'piece';
    throw new Error('failed on ' + JSON.stringify(job.input));
  })();
}`;

test('nor does anything that the local endpoint answers, tells webhooks or logs', async () => {
  const told: string[] = [];
  const hook = createServer((request, response) => {
    request.on('data', (part: Buffer) => told.push(part.toString()));
    request.on('end', () => response.writeHead(500).end());
  }).listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const webhook = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/?token=secret-five`;
  await using server = await startEndpointProcess({
    handler: STREAMING,
    env: { LOCAL_ENDPOINT_KEY: 'secret-six-key' },
  });
  const answers: string[] = [];
  const ask = async (
    path: string,
    body?: string,
    key = 'secret-six-key',
  ): Promise<Record<string, unknown>> => {
    const init = body === undefined ? {} : { method: 'POST', body };
    const response = await fetch(`${server.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${key}` },
    });
    const text = await response.text();
    answers.push(text);
    return JSON.parse(text) as Record<string, unknown>;
  };
  for (const extra of [{}, { fail: true }, { output: true }, { pieces: true }]) {
    const s3Config = { accessId: 'a', accessSecret: 'secret-seven' };
    const job = { input: { ...SECRETS, ...extra }, webhook, s3Config };
    const { id, status } = await ask('/runsync', JSON.stringify(job));
    expect(status).toBe('fail' in extra || 'output' in extra || 'pieces' in extra ? 'FAILED' : 'COMPLETED');
    for (const path of ['/status/', '/stream/']) await ask(`${path}${String(id)}`);
    await ask(`/cancel/${String(id)}`, '');
    await ask(`/retry/${String(id)}`, '');
  }
  await ask('/run', `{"input": ${JSON.stringify(SECRETS)}`);
  await ask('/run', JSON.stringify({ input: SECRETS, webhook: 'ftp://user:secret-five@x', policy: SECRETS }));
  await ask('/run', JSON.stringify({ ...SECRETS }));
  await ask('/health', undefined, 'secret-eight');
  while (told.length < 4) await once(hook, 'request');
  expect(await server.endpoint.stop()).toBe(0);
  hook.close();
  hook.closeAllConnections();
  const everything = `${server.log()}${answers.join('\n')}${told.join('\n')}`;
  expect(everything).toContain('webhook was not told');
  for (const secret of [...NEVER, /secret-(?:five|six|seven|eight)/]) expect(everything).not.toMatch(secret);
}, 120_000);

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
