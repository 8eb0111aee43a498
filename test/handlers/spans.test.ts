import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import type { StatelessOutput } from '../../src/embedding/stateless.ts';
import { testCollector, type TestCollector } from '../support/collector.ts';
import { drawPicture } from '../support/pictures.ts';

const HANDLER = fileURLToPath(new URL('../../handlers/embedding.ts', import.meta.url));
/** Says on standard error which of OpenTelemetry's files are loaded. */
const WATCH_IMPORTS = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  registerHooks({
    load(url, context, next) {
      if (url.includes('@opentelemetry')) process.stderr.write('LOADED ' + url + '\\n');
      return next(url, context);
    },
  });
`)}`;

let collector: TestCollector;

beforeEach(async () => {
  collector = await testCollector();
});

afterEach(async () => {
  await collector[Symbol.asyncDispose]();
});

interface Program {
  code: number | null;
  output: StatelessOutput;
  log: string;
}

/** A job without stores, by the real handler in a process of its own. */
async function runProgram(
  env: Record<string, string>,
  input: Record<string, unknown> = {},
): Promise<Program> {
  const picture = await drawPicture('a');
  const url = `data:image/png;base64,${picture.toString('base64')}`;
  const images = [1, 2, 3].map((id) => ({ id, url: `${url}#${id}`, type: 'product' }));
  const job = { id: 'request-1', input: { model_type: 'demo', images, ...input } };
  const child = spawn(
    process.execPath,
    ['--import', WATCH_IMPORTS, HANDLER, '--test_input', JSON.stringify(job)],
    { env: { PATH: process.env.PATH, INFERENCE_SESSIONS: '1', ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let [out, log] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (part: string) => (out += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (log += part));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output: JSON.parse(out) as StatelessOutput, log };
}

test('no endpoint: not a line of OpenTelemetry is loaded', async () => {
  for (const env of [
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SDK_DISABLED: 'true' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_EXPORTER: 'none' },
  ]) {
    const { code, log } = await runProgram(env);
    expect(code).toBe(0);
    expect(log).not.toContain('LOADED');
  }
  expect(collector.requests).toEqual([]);
});

test('an endpoint: a span for the job and one for each stage, before the process ends', async () => {
  const { code, output, log } = await runProgram({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer collector-key-4711',
    OTEL_SERVICE_NAME: 'our-workers',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging',
  });
  expect(code).toBe(0);
  // What the test of silence relies on: it would have been heard.
  expect(log).toContain('LOADED');
  expect(collector.requests.map(({ path }) => path)).toEqual(['/v1/traces']);
  expect(collector.requests[0]?.headers).toMatchObject({
    authorization: 'Bearer collector-key-4711',
    'content-type': 'application/json',
  });
  const { spans } = collector;
  const job = spans.find(({ name }) => name === 'embedding job');
  expect(job).toMatchObject({
    parentSpanId: undefined,
    attributes: {
      'job.id': 'request-1',
      'job.model_type': 'demo',
      'job.status': 'success',
      'job.model': output.model,
      'job.images.total': 3,
      'job.images.processed': 3,
      'job.images.failed': 0,
      'job.images_per_second': output.performance.images_per_second,
      'job.limited_by': output.performance.limited_by,
    },
    status: { code: 0 },
    resource: { 'service.name': 'our-workers', 'deployment.environment.name': 'staging' },
  });
  const stages = spans.filter((span) => span !== job);
  expect(stages.map(({ name }) => name)).toEqual(['list', 'download', 'decode', 'embed', 'write']);
  for (const stage of stages) {
    expect(stage).toMatchObject({ traceId: job?.traceId, parentSpanId: job?.spanId });
    expect(stage.startMs).toBeGreaterThanOrEqual(job?.startMs ?? Infinity);
    expect(stage.endMs).toBeLessThanOrEqual((job?.endMs ?? 0) + 1);
    const told = output.performance.stages[stage.name];
    expect(stage.attributes).toMatchObject({
      'stage.at_once': told?.at_once,
      'stage.working_seconds': told?.working_seconds,
      'stage.limiting_share': told?.limiting_share,
    });
  }
});

test('a job that fails says so, with its code and without its secrets', async () => {
  const { code, output } = await runProgram(
    { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/custom/path` },
    {
      embedding_dim: 3,
      hf_token: 'hf_abcdefghijklmnopqrstuvwxyz',
      supabase_url: 'http://127.0.0.1:9',
      supabase_service_key: 'sb_secret_very-4711',
    },
  );
  expect(code).toBe(1);
  expect(output).toHaveProperty('error');
  expect(collector.requests.map(({ path }) => path)).toEqual(['/custom/path']);
  expect(collector.spans).toMatchObject([
    {
      name: 'embedding job',
      attributes: { 'error.type': 'wrong_embedding_dim' },
      status: { code: 2, message: expect.stringContaining('embedding_dim is 3') },
      resource: { 'service.name': 'gpu-handlers' },
    },
  ]);
  expect(collector.requests[0]?.body).not.toMatch(/hf_abc|sb_secret|4711/);
});

test.each([
  ['refuses', (): void => void (collector.answer = 400)],
  ['never answers', (): void => void (collector.answer = 'silent')],
])('a collector that %s delays no job for long, and fails none', async (_, misbehave) => {
  misbehave();
  const { code, output, log } = await runProgram({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_TIMEOUT: '300',
  });
  expect(code).toBe(0);
  expect(output).toMatchObject({ status: 'success', processed_count: 3 });
  expect(log).toContain('Spans were not delivered');
  expect(collector.requests.length).toBeGreaterThan(0);
});

test('nor does one that is not there, nor an address that is none', async () => {
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as AddressInfo;
  gone.close();
  await once(gone, 'close');
  for (const endpoint of [`http://127.0.0.1:${port}`, 'no address']) {
    const { code, log } = await runProgram({
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
    });
    expect(code).toBe(0);
    expect(log).toContain('Spans were not delivered');
  }
});

test('what is not sampled is not sent', async () => {
  for (const sampler of ['always_off', 'parentbased_always_off', 'traceidratio']) {
    const env = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: '0' };
    expect((await runProgram({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env })).code).toBe(0);
  }
  expect(collector.requests).toEqual([]);
});
