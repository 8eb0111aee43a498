import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { SECRETS, startBench, type Bench } from './support.ts';

const REPOSITORY = 'registry.example.invalid/acme/gpu-handlers';

let bench: Bench;

beforeEach(async () => {
  bench = await startBench();
});

afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const imageOf = async (handler = 'embedding'): Promise<string> =>
  `${REPOSITORY}:${handler}-${await bench.tag()}`;
const seen = (): string[] => bench.server.requests.map(({ method, path }) => `${method} ${path}`);

test('the first deployment builds, pushes, makes template and endpoint, and sends a smoke job', async () => {
  const { code, text } = await bench.deploy(['embedding']);
  expect(`${code}\n${text}`).toMatch(/^0/);
  const image = await imageOf();
  const calls = await bench.dockerCalls();
  expect(calls.map((call) => call.split(' ')[0])).toEqual(['manifest', 'build', 'push']);
  expect(calls[1]).toContain(`--file=Dockerfile.embedding`);
  expect(calls[1]).toContain(`--tag=${image}`);
  expect(calls[2]).toBe(`push ${image}`);
  const [template] = bench.server.templates;
  expect(template).toMatchObject({
    name: 'gpu-handlers-embedding',
    image,
    serverless: true,
    category: 'NVIDIA',
  });
  expect(template?.env).toEqual({ SUPABASE_URL: 'https://project.example.invalid', ...SECRETS });
  expect(bench.server.endpoints).toMatchObject([
    {
      name: 'gpu-handlers-embedding',
      image,
      env: template?.env,
      gpu: { pools: ['ADA_24', 'AMPERE_24'], count: 1, minCudaVersion: '12.8' },
      workers: { min: 0, max: 3, idleTimeout: 10 },
      scaling: { type: 'QUEUE_DELAY', queueDelay: 4 },
    },
  ]);
  const smoke = bench.server.requests.find(({ path }) => path === '/v2/ep1/run');
  const file = await readFile(join(bench.folder, 'handlers/embedding.test_input.json'), 'utf8');
  expect(smoke?.body).toMatchObject(JSON.parse(file) as object);
  expect(text).toContain('RUNPOD_ENDPOINT_EMBEDDING=ep1');
});

test('run twice, it changes nothing the second time', async () => {
  await bench.deploy(['embedding']);
  const changes = bench.changes().length;
  const { code } = await bench.deploy(['embedding']);
  expect(code).toBe(0);
  expect(bench.changes()).toHaveLength(changes);
  expect(bench.server.endpoints).toHaveLength(1);
  expect((await bench.dockerCalls()).filter((call) => /^(?:build|push)/.test(call))).toHaveLength(2);
});

test('a new commit reaches the endpoint, and what was changed there by hand stays', async () => {
  await bench.deploy(['embedding']);
  Object.assign(bench.server.endpoints[0] ?? {}, { workers: { min: 1, max: 9, idleTimeout: 60 } });
  await bench.commit();
  const { code } = await bench.deploy(['embedding']);
  expect(code).toBe(0);
  expect(bench.server.endpoints).toMatchObject([{ image: await imageOf(), workers: { min: 1, max: 9 } }]);
  expect(seen()).toContain('PATCH /v2/templates/tpl1');
  const patch = bench.server.requests.find(
    ({ method, path }) => method === 'PATCH' && path === '/v2/serverless/ep1',
  );
  expect(patch?.body).toEqual({ templateId: 'tpl1' });
});

test('settings that are named reach an endpoint that is there, the others stay', async () => {
  await bench.deploy(['embedding']);
  const env = {
    DEPLOY_GPU_POOLS: 'AMPERE_48, ADA_48_PRO',
    DEPLOY_WORKERS_MAX: '8',
    DEPLOY_NETWORK_VOLUMES: 'vol1',
  };
  expect((await bench.deploy(['embedding'], { env })).code).toBe(0);
  expect(bench.server.endpoints).toMatchObject([
    {
      gpu: { pools: ['AMPERE_48', 'ADA_48_PRO'], minCudaVersion: '12.8' },
      workers: { min: 0, max: 8, idleTimeout: 10 },
      networkVolumes: ['vol1'],
      scaling: { type: 'QUEUE_DELAY', queueDelay: 4 },
    },
  ]);
});

test('all: both handlers, each with its template, endpoint and smoke job', async () => {
  const { code } = await bench.deploy(['all']);
  expect(code).toBe(0);
  expect(bench.server.endpoints.map(({ name, image }) => [name, image])).toEqual([
    ['gpu-handlers-embedding', await imageOf('embedding')],
    ['gpu-handlers-cls', await imageOf('cls')],
  ]);
  expect(seen().filter((request) => request.endsWith('/run'))).toEqual([
    'POST /v2/ep1/run',
    'POST /v2/ep2/run',
  ]);
});

test('an endpoint of the settings is taken over, with its machines, and variables that fall away are named', async () => {
  const old = { image: 'acme/python-worker:7', env: { OLD_KEY: 'x', SUPABASE_URL: 'y' } };
  const gpu = { pools: ['AMPERE_16'], count: 1, minCudaVersion: null, allowedCudaVersions: ['12.1', '12.8'] };
  bench.server.endpoints.push({ ...old, id: 'old1', name: 'embeddings (python)', version: 4, gpu });
  const { code, text } = await bench.deploy(['embedding'], { env: { RUNPOD_ENDPOINT_EMBEDDING: 'old1' } });
  expect(code).toBe(0);
  expect(bench.server.endpoints).toMatchObject([
    {
      id: 'old1',
      image: await imageOf(),
      gpu: { pools: ['AMPERE_16'], minCudaVersion: '12.8', allowedCudaVersions: [] },
    },
  ]);
  expect(text).toMatch(/fall away: OLD_KEY\n/);
});

test('waits while no worker is there, and says for what', async () => {
  bench.server.jobOf = () => [
    { status: 'IN_QUEUE' },
    { status: 'IN_QUEUE' },
    { status: 'IN_PROGRESS' },
    { status: 'COMPLETED', output: { status: 'success' } },
  ];
  const { code, text } = await bench.deploy(['embedding']);
  expect(code).toBe(0);
  expect(text.match(/waiting for a worker: 1 initializing/g)).toHaveLength(1);
});

test('a smoke job that a worker of the image before has run proves nothing: another is sent', async () => {
  await bench.deploy(['embedding']);
  const former = await imageOf();
  await bench.commit();
  bench.server.workerImage = ({ image }, jobs) => (jobs === 2 ? former : image);
  const { code, text } = await bench.deploy(['embedding']);
  expect(code).toBe(0);
  expect(text).toContain('a worker of the image before took the job');
  expect(seen().filter((request) => request === 'POST /v2/ep1/run')).toHaveLength(3);
});

test('nor does one whose worker has the settings of before, though its image is the same', async () => {
  await bench.deploy(['embedding']);
  bench.server.isStale = (job) => job === 'job2';
  const { code } = await bench.deploy(['embedding'], { env: { DEPLOY_DISK_GB: '40' } });
  expect(code).toBe(0);
  expect(seen().filter((request) => request === 'POST /v2/ep1/run')).toHaveLength(3);
});

test('files that differ from the commit are refused by name before anything is built', async () => {
  await writeFile(join(bench.folder, 'stray.ts'), '');
  const { code, text } = await bench.deploy(['embedding']);
  expect(code).toBe(1);
  expect(text).toContain('stray.ts');
  expect(await bench.dockerCalls()).toEqual([]);
  expect(bench.changes()).toEqual([]);
});

test('a build that fails changes nothing', async () => {
  await writeFile(join(bench.bin, 'fail-build'), '');
  const { code, text } = await bench.deploy(['embedding']);
  expect(code).toBe(1);
  expect(text).toMatch(/docker build .* exit code 1/);
  expect(bench.changes()).toEqual([]);
});

test('required settings that are missing are named together', async () => {
  await bench.writeEnv({ DEPLOY_WORKERS_MAX: 'many-4711' });
  const { code, text } = await bench.deploy(['embedding']);
  expect(code).toBe(2);
  for (const name of ['RUNPOD_API_KEY', 'IMAGE_REPOSITORY', 'DEPLOY_WORKERS_MAX'])
    expect(text).toContain(name);
  expect(text).not.toContain('4711');
});

test.each([
  [[]],
  [['both']],
  [['embedding', 'cls']],
  [['--force', 'embedding']],
  [['--rollback', '-x', 'all']],
])('the arguments %j are refused with the usage', async (args) => {
  const { code, text } = await bench.deploy(args);
  expect(code).toBe(2);
  expect(text).toContain('Usage: deploy.sh');
  expect(bench.server.requests).toEqual([]);
});
