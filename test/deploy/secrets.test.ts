import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { redactValue } from '../../src/base/redact.ts';
import { SECRETS, startBench, type Bench } from './support.ts';

let bench: Bench;

beforeEach(async () => {
  bench = await startBench();
});

afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const secrets = (): string[] => [bench.server.key, ...Object.values(SECRETS)];
const expectNone = (text: string): void => {
  for (const secret of secrets()) expect(text).not.toContain(secret);
};

/** The bodies that a dry run has printed, by the request's first line. */
function bodiesOf(text: string): Map<string, unknown> {
  const bodies = new Map<string, unknown>();
  for (const [, request = '', json = ''] of text.matchAll(/^((?:POST|PATCH) \S+).*\n(\{\n[^]*?\n\})$/gm))
    bodies.set(request.replace(bench.server.url, ''), JSON.parse(json));
  return bodies;
}

test('a dry run sends nothing, runs nothing, and prints what a real run sends, without secrets', async () => {
  const { code, text } = await bench.deploy(['--dry-run', 'embedding']);
  expect(code).toBe(0);
  expect(bench.server.requests).toEqual([]);
  expect(await bench.dockerCalls()).toEqual([]);
  expectNone(text);

  await bench.deploy(['embedding']);
  const [manifest = '', build = '', push = ''] = await bench.dockerCalls();
  for (const call of [manifest, build, push]) expect(text).toContain(`docker ${call}`);
  const bodies = bodiesOf(text);
  const sent = new Map(bench.server.requests.map(({ method, path, body }) => [`${method} ${path}`, body]));
  expect(bodies.get('POST /v2/templates')).toEqual(redactValue(sent.get('POST /v2/templates')));
  expect({ ...(bodies.get('POST /v2/serverless') as object), templateId: 'tpl1' }).toEqual(
    sent.get('POST /v2/serverless'),
  );
  expect(bodies.get('POST /v2/{endpoint}/run')).toEqual(redactValue(sent.get('POST /v2/ep1/run')));
  for (const { method, path } of bench.server.requests) {
    const url = path.replace('/ep1', '/{endpoint}').replace('/job1', '/{job}');
    if (!/health|workers/.test(path)) expect(text).toContain(`${method} ${bench.server.url}${url}`);
  }
});

test('a dry run needs no key, and says what an update sends', async () => {
  await bench.writeEnv({
    IMAGE_REPOSITORY: 'acme/x',
    RUNPOD_REST_URL: bench.server.url,
    DEPLOY_WORKERS_MAX: '5',
  });
  const { code, text } = await bench.deploy(['--dry-run', '--rollback', 'abc', 'embedding']);
  expect(code).toBe(0);
  expect(text).not.toContain('docker build');
  expect(bodiesOf(text).get('PATCH /v2/serverless/{endpoint}')).toEqual({
    templateId: '{template}',
    workers: { min: 0, max: 5, idleTimeout: 10 },
    gpu: { minCudaVersion: '12.8' },
  });
});

test('no secret is printed or reaches docker, whatever the other side quotes', async () => {
  bench.server.intercept = ({ method, authorization, body }) =>
    method === 'POST'
      ? {
          status: 422,
          problem: { title: 'No', detail: `${authorization} ${JSON.stringify(body)}`, errors: [body] },
        }
      : undefined;
  const { code, text } = await bench.deploy(['embedding'], { env: { RUNPOD_API_KEY: bench.server.key } });
  expect(code).toBe(1);
  expect(text).toContain('422: No: ');
  expectNone(text);
  expectNone((await bench.dockerCalls()).join('\n'));
  expectNone(await readFile(join(bench.bin, 'environment'), 'utf8'));
});

test('what a shell happens to hold is no setting of the containers', async () => {
  await bench.deploy(['embedding'], { env: { HF_HOME: '/home/me', SUPABASE_URL: 'http://localhost:1' } });
  expect(bench.server.templates[0]?.env).toMatchObject({ SUPABASE_URL: 'https://project.example.invalid' });
  expect(bench.server.templates[0]?.env).not.toHaveProperty('HF_HOME');
});
