import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';

import { COMMANDS } from '../../src/cli/commands.ts';
import { API_KEY, scriptedRunPod, type ScriptedRunPod } from '../support/api/runpod.ts';
import { addRun, rowOf } from '../support/api/runs.ts';
import { jsonLines, runCli, startCli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { testSupabase, type TestSupabase } from '../support/supabase.ts';

let supabase: TestSupabase;
let runpod: ScriptedRunPod;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let env: Record<string, string>;

beforeAll(async () => {
  [supabase, runpod, folder] = await Promise.all([testSupabase(), scriptedRunPod(), temporaryFolder()]);
  env = {
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceKey,
    // Nothing of what is asked here asks it.
    QDRANT_URL: 'http://127.0.0.1:9',
    RUNPOD_API_KEY: API_KEY,
    RUNPOD_ENDPOINT_EMBEDDING: 'scripted',
    RUNPOD_JOBS_URL: runpod.url,
  };
});
afterEach(() => {
  runpod.answer = () => undefined;
});
afterAll(async () => {
  await Promise.all([supabase.close(), runpod[Symbol.asyncDispose](), folder[Symbol.asyncDispose]()]);
});

/** Loaded before the program: tells at its end which packages it has loaded. */
const TELL_PACKAGES = `data:text/javascript,${encodeURIComponent(`
import { registerHooks } from 'node:module';
const packages = new Set();
registerHooks({
  load(url, context, next) {
    const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
    if (name !== undefined) packages.add(name);
    return next(url, context);
  },
});
process.on('exit', () => process.stderr.write(JSON.stringify([...packages])));
`)}`;

test('help is quick: no package is loaded for it, and only what it needs for a list of runs', async () => {
  const told = { NODE_OPTIONS: `--import=${TELL_PACKAGES}` };
  const help = await runCli(['help'], { env: told });
  expect({ code: help.code, packages: help.stderr }).toEqual({ code: 0, packages: '[]' });
  for (const { name } of COMMANDS) expect(help.stdout).toContain(`  ${name} `);
  const list = await runCli(['status', '--json'], { env: { ...env, ...told } });
  expect(list.stdout).toBe('[]\n');
  const packages = JSON.parse(list.stderr) as string[];
  expect(packages).toContain('@supabase/supabase-js');
  for (const heavy of ['onnxruntime-node', 'sharp', 'hono', '@electric-sql/pglite'])
    expect(packages).not.toContain(heavy);
});

test('what is typed wrong is 2, in words and as JSON; what cannot be done is 1', async () => {
  const [none, unknown, field, missing] = await Promise.all([
    runCli([]),
    runCli(['statsu', '--json']),
    runCli(['extract', 'matching', '--product-source=selected', '--json'], { env }),
    runCli(['cancel', '839c284e-5ace-5b18-a087-25ceb89add55', '--json']),
  ]);
  expect(none).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringContaining('gpu-handlers COMMAND'),
  });
  expect(unknown).toEqual({
    code: 2,
    stdout: `${JSON.stringify({
      error: { code: 'wrong_usage', message: 'there is no command "statsu"; did you mean status?' },
    })}\n`,
    stderr: 'there is no command "statsu"; did you mean status?\nSee gpu-handlers help\n',
  });
  expect(field.code).toBe(2);
  expect(JSON.parse(field.stdout)).toMatchObject({
    error: { code: 'invalid_input', issues: [{ key: '--product-ids' }] },
  });
  expect(missing.code).toBe(1);
  expect(JSON.parse(missing.stdout)).toMatchObject({
    error: { code: 'invalid_settings', message: expect.stringContaining('SUPABASE_URL') },
  });
});

test('where something is missing, it says what does without, and where it goes', async () => {
  const { RUNPOD_ENDPOINT_EMBEDDING: _, ...without } = env;
  const nowhere = await runCli(['extract', 'matching'], { env: without });
  expect(nowhere).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/RUNPOD_ENDPOINT_EMBEDDING .*--here needs none\n.*--settings FILE.*doctor/),
  });
  const unset = await runCli(['status']);
  expect(unset.stderr).toMatch(/SUPABASE_URL.*\n.*--settings FILE.*doctor/);
  const refused = await runCli(['status'], {
    env: { ...env, SUPABASE_SERVICE_ROLE_KEY: 'of another project' },
  });
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/\n.* doctor .*\n$/) });
});

test('a state that there is not, and what chooses among runs beside one run, are typed wrong', async () => {
  const state = await runCli(['status', '--status=complete'], { env });
  expect(state).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean completed?') });
  const both = await runCli(['status', '839c284e-5ace-5b18-a087-25ceb89add55', '--status=failed'], { env });
  expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining('leave ID out') });
});

test('settings may lie in a file, and the environment wins over it', async () => {
  const file = join(folder.path, 'settings.env');
  await writeFile(
    file,
    Object.entries({ ...env, SUPABASE_URL: 'http://127.0.0.1:9' })
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const list = await runCli(['status', '--settings', file, '--limit=1'], {
    env: { SUPABASE_URL: supabase.url },
  });
  expect(list).toMatchObject({ code: 0, stdout: 'There are no such runs.\n' });
  const none = await runCli(['status', '--settings', join(folder.path, 'none.env')]);
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('--settings') });
});

test('a run whose worker died is given its end by reconcile; where RunPod is away, it says so: 1', async () => {
  const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'dead' });
  runpod.jobs.set('dead', { id: 'dead', status: 'FAILED', error: 'worker exited' });
  const done = await runCli(['reconcile', '--json'], { env });
  expect(done.code).toBe(0);
  expect(JSON.parse(done.stdout)).toMatchObject({
    ended: [{ id, status: 'failed', reason: 'worker exited' }],
  });
  expect(await rowOf(supabase, id)).toMatchObject({ status: 'failed' });

  await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'alive' });
  runpod.answer = () => ({ status: 401, body: { error: 'unauthorized' } });
  const refused = await runCli(['reconcile'], { env });
  expect(refused).toMatchObject({ code: 1, stdout: expect.stringContaining('check RUNPOD_API_KEY') });
});

test('a run that is followed ends with its worker, also where that cannot say so', async () => {
  const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'lost' });
  runpod.jobs.set('lost', { id: 'lost', status: 'TIMED_OUT' });
  const { code, stdout } = await runCli(['status', id, '--follow', '--json'], { env });
  expect(code).toBe(3);
  expect(jsonLines(stdout).at(-1)).toMatchObject({
    id,
    status: 'failed',
    error_message: expect.stringMatching(/longer/),
  });
});

test('serve is the handler as its image starts it', async () => {
  const job = await runCli(['serve', 'embedding', '--test_input', '{"input": {}}'], { env: {} });
  expect(job.code).toBe(1);
  expect(JSON.parse(job.stdout)).toEqual({ error: expect.stringContaining('images') });

  const worker = startCli(['serve', 'embedding', '--rp-serve-api', '--rp-api-port=0'], {
    env: { HF_HUB_OFFLINE: '1' },
  });
  const { base_url: url } = JSON.parse(await worker.said(/\n/)) as { base_url: string };
  const health = await fetch(`${url}/any/health`);
  expect(await health.json()).toMatchObject({ jobs: { inQueue: 0 } });
  worker.process.kill('SIGTERM');
  expect((await worker.ended).code).toBe(0);
});
