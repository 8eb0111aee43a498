import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';

import { lookAtSettings } from '../../src/base/settings.ts';
import { examine } from '../../src/cli/doctor/examine.ts';
import type { Finding, Patient } from '../../src/cli/doctor/finding.ts';
import { checkMachine } from '../../src/cli/doctor/machine.ts';
import { readMigrations } from '../../src/cli/doctor/migrations.ts';
import { checkModels } from '../../src/cli/doctor/models.ts';
import { checkQdrant } from '../../src/cli/doctor/qdrant.ts';
import { checkRunPod } from '../../src/cli/doctor/runpod.ts';
import { checkSettings } from '../../src/cli/doctor/settings.ts';
import { checkSupabase } from '../../src/cli/doctor/supabase.ts';
import { CATALOGUE } from '../../src/model/catalogue.ts';
import { API_KEY, scriptedRunPod, type ScriptedRunPod } from '../support/api/runpod.ts';
import { jsonLines, runCli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { startHub } from '../support/hub.ts';
import { testQdrant, type TestQdrant } from '../support/qdrant.ts';
import { testSupabase, type TestSupabase } from '../support/supabase.ts';

const MIGRATIONS = join(import.meta.dirname, '..', '..', 'supabase', 'migrations');
const LIMITS = { patienceMs: 0, timeoutMs: 3_000 };
/** Nobody listens there. */
const NOBODY = 'http://127.0.0.1:9';

let supabase: TestSupabase;
let qdrant: TestQdrant;
let runpod: ScriptedRunPod;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let healthy: Record<string, string>;

beforeAll(async () => {
  [supabase, qdrant, runpod, folder] = await Promise.all([
    testSupabase(),
    testQdrant(),
    scriptedRunPod(),
    temporaryFolder(),
  ]);
  await supabase.sql(
    `insert into embedding_models (id, name, model_type, embedding_dim, is_matching_active)
     values (gen_random_uuid(), 'Demo', 'demo', 3, true)`,
  );
  healthy = {
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceKey,
    QDRANT_URL: qdrant.url,
    QDRANT_API_KEY: qdrant.apiKey,
    RUNPOD_API_KEY: API_KEY,
    RUNPOD_ENDPOINT_EMBEDDING: 'scripted',
    RUNPOD_ENDPOINT_CLS_TRAINING: 'scripted',
    RUNPOD_JOBS_URL: runpod.url,
    HF_HUB_CACHE: join(folder.path, 'hub'),
    HF_HUB_OFFLINE: '1',
    ALLOW_PRIVATE_HOSTS: '1',
  };
});
afterEach(() => {
  runpod.answer = () => undefined;
});
afterAll(async () => {
  await Promise.all([supabase.close(), qdrant.close()]);
  await Promise.all([runpod[Symbol.asyncDispose](), folder[Symbol.asyncDispose]()]);
});

type Check = (patient: Patient) => Promise<Finding[]>;

/** What one check finds, other than that all is well. */
async function find(check: Check, changes: Record<string, string> = {}, limits = LIMITS): Promise<Finding[]> {
  const { settings } = lookAtSettings({ ...healthy, ...changes });
  const findings = await check({ settings, limits, signal: new AbortController().signal });
  return findings.filter(({ status }) => status !== 'ok');
}

test('where all is well, nothing is found, and every part was looked at', async () => {
  const findings = await Array.fromAsync(examine(new AbortController().signal, healthy));
  expect(findings.filter(({ status }) => status !== 'ok')).toEqual([]);
  expect(findings.map(({ check }) => check)).toEqual([
    'node',
    'settings',
    'supabase',
    'tables',
    'tables of this package',
    'qdrant',
    'qdrant version',
    'qdrant strict mode',
    'runpod RUNPOD_ENDPOINT_EMBEDDING',
    'runpod RUNPOD_ENDPOINT_CLS_TRAINING',
    'model Demo',
    'model cache',
    'memory',
    'disk',
    'pictures',
    'onnx runtime',
  ]);
});

test('as a program: a line for each finding, and exit code 1 where something fails', async () => {
  const { code, stdout, stderr } = await runCli(['doctor', '--json'], {
    env: { HF_HUB_CACHE: folder.path, API_PORT: 'eighty', QDRANT_API_KEYS: 'x' },
  });
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  const findings = jsonLines(stdout).filter(({ status }) => status !== 'ok');
  expect(findings).toMatchObject([
    { check: 'setting API_PORT', status: 'failed', detail: 'expected a port', advice: expect.any(String) },
    {
      check: 'setting QDRANT_API_KEYS',
      status: 'warning',
      advice: expect.stringContaining('QDRANT_API_KEY'),
    },
    { check: 'supabase', status: 'failed', advice: expect.stringContaining('SUPABASE_URL') },
    { check: 'qdrant', status: 'failed', advice: expect.stringContaining('QDRANT_URL') },
    { check: 'runpod RUNPOD_ENDPOINT_EMBEDDING', status: 'skipped' },
    { check: 'runpod RUNPOD_ENDPOINT_CLS_TRAINING', status: 'skipped' },
    { check: 'models', status: 'skipped' },
  ]);
  const well = await runCli(['doctor'], { env: healthy });
  expect(well).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/✓ supabase: .*\n0 failed, 0 warnings\n$/s),
  });
});

test('half of what goes together', () => {
  const { SUPABASE_SERVICE_ROLE_KEY: _, RUNPOD_API_KEY: __, ...half } = healthy;
  const look = lookAtSettings({ ...half, API_WEBHOOK_SECRET: 'a-secret-of-some-length' });
  expect(checkSettings(look).map(({ check, status, detail }) => [check, status, detail])).toEqual([
    ['setting SUPABASE_SERVICE_ROLE_KEY', 'failed', 'is not set, and SUPABASE_URL is'],
    ['setting RUNPOD_API_KEY', 'failed', 'is not set, and RUNPOD_ENDPOINT_EMBEDDING is'],
    ['setting RUNPOD_API_KEY', 'failed', 'is not set, and RUNPOD_ENDPOINT_CLS_TRAINING is'],
    ['setting API_PUBLIC_URL', 'failed', 'is not set, and API_WEBHOOK_SECRET is'],
  ]);
});

test('a name that is nearly a setting is told, also where the right one stands there empty', () => {
  const { QDRANT_API_KEY: key, ...others } = healthy;
  const look = lookAtSettings({ ...others, QDRANT_API_KEYS: String(key), QDRANT_API_KEY: '', HF_TOKN: '' });
  expect(checkSettings(look)).toMatchObject([
    {
      check: 'setting QDRANT_API_KEYS',
      status: 'warning',
      advice: expect.stringContaining('QDRANT_API_KEY'),
    },
  ]);
});

test('a Supabase that is away, and one that does not take the key', async () => {
  expect(await find(checkSupabase, { SUPABASE_URL: NOBODY })).toMatchObject([
    { check: 'supabase', status: 'failed', advice: expect.stringContaining('SUPABASE_URL') },
  ]);
  const key = 'sb_secret_ofanotherproject';
  const found = await find(checkSupabase, { SUPABASE_SERVICE_ROLE_KEY: key });
  expect(found).toMatchObject([{ status: 'failed', advice: expect.stringContaining('service role') }]);
  expect(JSON.stringify(found)).not.toContain(key);
});

test('what the migrations make is read from their text, column by column', async () => {
  const migrations = await readMigrations(MIGRATIONS);
  const read = new Set(
    migrations.flatMap(({ tables }) =>
      Object.entries(tables).flatMap(([table, columns]) => columns.map((column) => `${table}.${column}`)),
    ),
  );
  const made = await supabase.sql(
    `select table_name || '.' || column_name as name from information_schema.columns where table_schema = 'public'`,
  );
  expect([...read].toSorted()).toEqual(made.map(({ name }) => name).toSorted());
});

test('tables and columns that are not there: those that jobs need, and those that they can do without', async () => {
  await using other = await testSupabase();
  await other.sql('alter table products drop column brand_name');
  await other.sql('alter table products drop column category');
  await other.sql('drop table dataset_products');
  await other.sql('alter table embedding_jobs drop column result');
  await other.sql('drop table embedding_job_failures');
  const at = { SUPABASE_URL: other.url, SUPABASE_SERVICE_ROLE_KEY: other.serviceKey };
  const found = await find(checkSupabase, at);
  expect(found.map(({ check, status }) => [check, status])).toEqual([
    ['tables', 'failed'],
    ['tables of this package', 'warning'],
  ]);
  const lacks = found.map(({ detail }) => detail.replace('lacks ', '').split(', ').toSorted());
  expect(lacks).toEqual([
    ['dataset_products', 'products.brand_name', 'products.category'],
    ['embedding_job_failures', 'embedding_jobs.result'],
  ]);
  expect(found[0]?.advice).toContain('supabase db push');
});

/** A server that says these things of itself. */
async function answering(answers: Record<string, unknown>): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((request, response) => {
    const answer = answers[request.url ?? ''];
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { status: { error: 'Not found' }, time: 0 }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
}

test('a Qdrant that is away, that does not take the key, and one that is none', async () => {
  expect(await find(checkQdrant, { QDRANT_URL: NOBODY })).toMatchObject([
    { check: 'qdrant', status: 'failed', advice: expect.stringContaining('QDRANT_URL') },
  ]);
  expect(await find(checkQdrant, { QDRANT_API_KEY: 'another' })).toMatchObject([
    { status: 'failed', advice: expect.stringContaining('QDRANT_API_KEY') },
  ]);
  await using page = await answering({ '/': '<html>' });
  expect(await find(checkQdrant, { QDRANT_URL: page.url })).toMatchObject([
    { check: 'qdrant', status: 'failed' },
  ]);
});

test('a Qdrant that is too old, and what a strict one refuses', async () => {
  await using old = await answering({
    '/': { title: 'qdrant', version: '1.9.2' },
    '/collections': { result: { collections: [{ name: 'a' }, { name: 'b' }] }, status: 'ok', time: 0 },
    '/collections/a': {
      result: { config: { strict_mode_config: { enabled: true, max_query_limit: 100 } } },
      status: 'ok',
      time: 0,
    },
    '/collections/b': {
      result: { config: { strict_mode_config: { enabled: false } } },
      status: 'ok',
      time: 0,
    },
  });
  const { settings } = lookAtSettings({ ...healthy, QDRANT_URL: old.url });
  expect(await checkQdrant({ settings, limits: LIMITS, signal: new AbortController().signal })).toMatchObject(
    [
      { check: 'qdrant', status: 'ok', detail: expect.stringContaining('2 collections') },
      { check: 'qdrant version', status: 'failed', detail: '1.9.2', advice: expect.stringContaining('1.10') },
      {
        check: 'qdrant strict mode',
        status: 'ok',
        detail: expect.stringContaining('a {"max_query_limit":100}'),
      },
    ],
  );
});

test.each([
  [{ status: 401, body: { error: 'unauthorized' } }, 'failed', 'RUNPOD_API_KEY must be'],
  [{ status: 404, body: { error: 'endpoint not found' } }, 'failed', 'must be the id of an endpoint'],
  [
    { body: { jobs: { inQueue: 3, inProgress: 0 }, workers: { idle: 0, running: 0, throttled: 2 } } },
    'warning',
    'DEPLOY_GPU_POOLS',
  ],
  ['cut' as const, 'failed', 'RUNPOD_JOBS_URL'],
])('endpoints that answer %j', async (answer, status, advice) => {
  runpod.answer = () => answer;
  // The SDK's timer goes on for so long after a connection that failed.
  const found = await find(checkRunPod, {}, { patienceMs: 0, timeoutMs: 1_000 });
  expect(found).toHaveLength(2);
  for (const finding of found)
    expect(finding).toMatchObject({ status, advice: expect.stringContaining(advice) });
  expect(JSON.stringify(found)).not.toContain(API_KEY);
});

test('a model whose file is nowhere, at the hub, in MODEL_DIR; and which one is active', async () => {
  const activate = async (type: string): Promise<unknown> =>
    supabase.sql(`update embedding_models set model_type = '${type}' where name = 'Demo'`);
  await activate('clip-vit-b-32');
  expect(await find(checkModels)).toMatchObject([
    { check: 'model Demo', status: 'warning', advice: expect.stringContaining('HF_HUB_OFFLINE') },
  ]);
  await using hub = await startHub();
  const online = { HF_HUB_OFFLINE: '0', HF_ENDPOINT: hub.url };
  expect(await find(checkModels, online)).toMatchObject([
    { check: 'model Demo', status: 'warning', advice: expect.stringContaining('MODEL_DIR') },
  ]);
  const { repository = '', file = '' } = CATALOGUE['clip-vit-b-32'].source ?? {};
  hub.publish(repository, { [file]: 'a graph' });
  expect(await find(checkModels, online)).toEqual([]);
  expect(hub.bodies()).toEqual([]);
  await mkdir(join(folder.path, 'models', 'clip-vit-b-32'), { recursive: true });
  await writeFile(join(folder.path, 'models', 'clip-vit-b-32', 'model.onnx'), 'a graph');
  expect(await find(checkModels, { MODEL_DIR: join(folder.path, 'models') })).toEqual([]);

  await activate('resnet');
  expect(await find(checkModels)).toMatchObject([
    { status: 'failed', advice: expect.stringContaining('model_type') },
  ]);
  await supabase.sql('update embedding_models set is_matching_active = false');
  expect(await find(checkModels)).toMatchObject([
    { check: 'models', status: 'warning', detail: '0 rows of embedding_models are active' },
  ]);
});

test('a cache that is no folder, and a GPU that was promised and is not there', async () => {
  await writeFile(join(folder.path, 'file'), '');
  const cache = await find(checkModels, { HF_HUB_CACHE: join(folder.path, 'file', 'hub') });
  expect(cache.find(({ check }) => check === 'model cache')).toMatchObject({
    status: 'warning',
    advice: expect.stringContaining('HF_HUB_CACHE'),
  });
  expect(await find(checkMachine, { REQUIRE_GPU: '1', ONNX_PROVIDERS: 'cpu' })).toMatchObject([
    { check: 'onnx runtime', status: 'failed', advice: expect.stringContaining('REQUIRE_GPU') },
  ]);
});
