import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from '../../../src/worker/simulator/simulator.ts';
import { hand } from './support.ts';

const MAIN = fileURLToPath(new URL('../../../src/worker/simulator/main.ts', import.meta.url));

async function ask(url: string, method: string, path: string, body?: unknown) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${url}${path}`, { method, ...(body === undefined ? {} : { body: text }) });
  return { status: response.status, body: await response.json() };
}

describe('over HTTP', () => {
  let simulator: Simulator;
  beforeEach(async () => {
    simulator = await startSimulator({ longPollMs: 1 });
  });
  afterEach(async () => {
    await simulator.close();
  });
  const control = (method: string, path: string, body?: unknown) =>
    ask(simulator.url, method, `/simulator/${path}`, body);

  test('jobs are submitted, one or several, taken and seen', async () => {
    expect(await control('POST', 'jobs', { id: 'a', input: { n: null } })).toEqual({
      status: 200,
      body: { id: 'a' },
    });
    const { body } = await control('POST', 'jobs', [{ id: 'b', input: 1 }, { input: 2 }]);
    expect(body).toEqual({ ids: ['b', expect.any(String)] });
    expect((await control('GET', 'counts')).body).toEqual({ waiting: 3, finals: 0 });
    const worker = hand(simulator);
    await worker.take();
    await worker.done('a', { output: 1 });
    expect((await control('GET', 'counts')).body).toEqual({ waiting: 2, finals: 1 });
    expect((await control('GET', 'results')).body).toMatchObject({ a: [{ output: 1 }] });
    expect((await control('GET', 'requests')).body).toMatchObject([{ route: 'take' }, { route: 'done' }]);
    expect((await control('GET', 'violations')).body).toEqual([]);
    expect((await control('GET', 'progress')).body).toEqual({});
    expect((await control('GET', 'streams')).body).toEqual({});
  });

  test('rules are scripted and cleared, jobs are stopped', async () => {
    const rule = { route: 'take', outcome: { status: 500 } };
    expect((await control('POST', 'script', rule)).status).toBe(200);
    const worker = hand(simulator);
    expect((await worker.take()).status).toBe(500);
    await control('POST', 'clear');
    expect((await control('GET', 'requests')).body).toEqual([]);
    expect((await worker.take()).status).toBe(204);
    await control('POST', 'jobs', { id: 'a/b', input: 1 });
    expect((await control('POST', 'stop/a%2Fb')).body).toEqual({ stopped: true });
    expect((await worker.take()).status).toBe(204);
  });

  test('the environment of a worker, with its tokens', async () => {
    const { body } = await control('GET', 'env?worker=w7');
    expect(body).toMatchObject({
      RUNPOD_POD_ID: 'w7',
      RUNPOD_WEBHOOK_GET_JOB: `${simulator.url}/v2/simulated/job-take/$ID?gpu=NVIDIA+Simulated`,
      RUNPOD_WEBHOOK_POST_OUTPUT: expect.stringContaining('/job-done/$RUNPOD_POD_ID/$ID?'),
      RUNPOD_PING_INTERVAL: '10000',
    });
  });

  test.each([
    ['POST', 'jobs', 'x', 400, /no JSON/],
    ['POST', 'script', { route: 'nothing' }, 400, /route/],
    ['GET', 'nothing', undefined, 404, /GET \/simulator\/nothing is no address/],
  ])('%s %s with what is wrong', async (method, path, body, status, message) => {
    expect(await control(method, path, body)).toEqual({
      status,
      body: { error: expect.stringMatching(message) },
    });
  });
});

test('as a command: it says where it is, and ends when told to', async () => {
  const child = spawn(process.execPath, [MAIN, '--json', '--worker', 'w9'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const { url, env } = JSON.parse(line) as { url: string; env: Record<string, string> };
  expect(env.RUNPOD_POD_ID).toBe('w9');
  expect((await ask(url, 'GET', '/simulator/counts')).body).toEqual({ waiting: 0, finals: 0 });
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});

test.each([
  ['an option that there is not', ['--prot', '1'], /Unknown option '--prot'/],
  ['a port that is none', ['--port', 'abc'], /--port: expected a whole number/],
  ['a port that there is not', ['--port', '70000'], /cannot listen at 127.0.0.1, port 70000/],
  ['an address of another machine', ['--host', '192.0.2.1'], /cannot listen at 192.0.2.1, port 0/],
])('as a command with %s: it says so and how it is called', async (_, args, message) => {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text));
  expect(await once(child, 'close')).toEqual([2, null]);
  expect(printed).toMatch(message);
  expect(printed).toContain('npm run simulator -- [--port PORT]');
  expect(printed).not.toContain('    at ');
});
