import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { startBench, type Bench } from './support.ts';

let bench: Bench;
/** What a first deployment has left: it is what a failed one must go back to. */
let good: { image: string; tag: string };

beforeEach(async () => {
  bench = await startBench();
  expect((await bench.deploy(['embedding'])).code).toBe(0);
  good = { image: bench.server.endpoints[0]?.image ?? '', tag: await bench.tag() };
  await bench.commit();
});

afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const FAILED = [{ status: 'FAILED', error: 'gpu_required: no GPU provider came up' }];
const failNew = (): void => {
  bench.server.jobOf = (image) =>
    image === good.image ? [{ status: 'COMPLETED', output: { status: 'success' } }] : FAILED;
};

test.each([
  ['failed', FAILED, 'gpu_required'],
  ['timed out', [{ status: 'TIMED_OUT' }], 'TIMED_OUT'],
  [
    'completed with an error in its output',
    [{ status: 'COMPLETED', output: { error: 'model_missing' } }],
    'model_missing',
  ],
  [
    'completed with failed images',
    [{ status: 'COMPLETED', output: { status: 'success', failed_count: 1 } }],
    '1 of',
  ],
] as const)('a smoke job that %s: the image before is back, with its settings', async (_, script, reason) => {
  bench.server.jobOf = () => script;
  const env = { DEPLOY_WORKERS_MAX: '7', DEPLOY_GPU_POOLS: 'AMPERE_80' };
  const { code, text } = await bench.deploy(['embedding'], { env });
  expect(code).toBe(1);
  expect(text).toContain(reason);
  expect(text).toContain(`endpoint ep1 is back at ${good.image}`);
  expect(bench.server.endpoints).toMatchObject([
    {
      image: good.image,
      workers: { min: 0, max: 3, idleTimeout: 10 },
      gpu: { pools: ['ADA_24', 'AMPERE_24'] },
    },
  ]);
  expect(bench.server.templates).toMatchObject([{ image: good.image }]);
});

test('no worker comes up in time: the job is cancelled and the image before is back', async () => {
  bench.server.jobOf = () => [{ status: 'IN_QUEUE' }];
  bench.server.workerStates = { throttled: 2 };
  const { code, text } = await bench.deploy(['embedding'], { env: { DEPLOY_WORKER_WAIT_S: '1' } });
  expect(code).toBe(1);
  expect(text).toContain('no worker took the job: 2 throttled');
  expect(bench.server.cancelled).toEqual(['job2']);
  expect(bench.server.endpoints[0]?.image).toBe(good.image);
});

test('stopped while the smoke job runs: taken back as well', async () => {
  const stop = new AbortController();
  bench.server.jobOf = () => [{ status: 'IN_PROGRESS' }];
  bench.server.intercept = ({ path }) => {
    if (path === '/v2/ep1/status/job2') stop.abort(new StoppedError('shutdown', 'stopped by SIGINT'));
    return undefined;
  };
  const { code, text } = await bench.deploy(['embedding'], { signal: stop.signal });
  expect(code).toBe(1);
  expect(text).toContain('stopped by SIGINT');
  expect(bench.server.endpoints[0]?.image).toBe(good.image);
});

test('an endpoint that does not take the template over: the template is back too', async () => {
  let refused = 0;
  bench.server.intercept = ({ method, path }) => {
    if (method !== 'PATCH' || path !== '/v2/serverless/ep1' || refused > 0) return undefined;
    refused += 1;
    return {
      status: 400,
      problem: { title: 'Bad Request', status: 400, detail: 'workers.max is above your quota' },
    };
  };
  const { code, text } = await bench.deploy(['embedding']);
  expect(code).toBe(1);
  expect(text).toContain('workers.max is above your quota');
  expect(bench.server.templates[0]?.image).toBe(good.image);
  expect(bench.server.endpoints[0]?.image).toBe(good.image);
});

test('a first deployment that fails has nothing to go back to, and says so', async () => {
  bench.server.jobOf = () => FAILED;
  const { code, text } = await bench.deploy(['cls']);
  expect(code).toBe(1);
  expect(text).toContain('there is nothing to go back to');
});

test('--rollback deploys an image that was pushed before, and builds nothing', async () => {
  expect((await bench.deploy(['embedding'])).code).toBe(0);
  expect(bench.server.endpoints[0]?.image).not.toBe(good.image);
  const calls = (await bench.dockerCalls()).length;
  const { code } = await bench.deploy(['--rollback', good.tag, 'embedding']);
  expect(code).toBe(0);
  expect(bench.server.endpoints[0]?.image).toBe(good.image);
  expect(bench.server.templates[0]?.image).toBe(good.image);
  expect((await bench.dockerCalls()).slice(calls)).toEqual([`manifest inspect ${good.image}`]);
});

test('--rollback to an image that is not in the registry changes nothing', async () => {
  const changes = bench.changes().length;
  const { code, text } = await bench.deploy(['--rollback', '000000000000', 'embedding']);
  expect(code).toBe(1);
  expect(text).toContain('nothing was changed');
  expect(bench.changes()).toHaveLength(changes);
});

test('--rollback to an image that fails its smoke job: the one of before goes on', async () => {
  expect((await bench.deploy(['embedding'])).code).toBe(0);
  const current = bench.server.endpoints[0]?.image;
  bench.server.jobOf = () => FAILED;
  expect((await bench.deploy(['--rollback', good.tag, 'embedding'])).code).toBe(1);
  expect(bench.server.endpoints[0]?.image).toBe(current);
});

test('of all, the first that fails is taken back and ends it', async () => {
  failNew();
  const { code, text } = await bench.deploy(['all']);
  expect(code).toBe(1);
  expect(text).toContain(`is back at ${good.image}`);
  expect(bench.server.endpoints).toHaveLength(1);
});
