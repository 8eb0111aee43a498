import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, test } from '@jest/globals';

import { startHandler, type WorkerProcess } from '../support.ts';
import { startEndpointProcess, type EndpointProcess } from './support.ts';

const SERVE = fileURLToPath(new URL('../../../src/worker/serve.ts', import.meta.url));

let server: EndpointProcess | undefined;
afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
});

const HOLD = `async ({ input }, { signal, log }) => {
  if (input.quick) return 'quick';
  log.info('started');
  await aborted(signal);
}`;

describe('SIGTERM', () => {
  test('while nothing runs: the exit code is 0', async () => {
    server = await startEndpointProcess({ handler: HOLD });
    const { body } = await server.endpoint.call('POST', '/runsync', { input: { quick: true } });
    expect(body).toMatchObject({ status: 'COMPLETED', output: 'quick' });
    expect(await server.endpoint.stop()).toBe(0);
  });

  test('while jobs run and wait: each is answered, and whoever waits for one is told', async () => {
    server = await startEndpointProcess({ handler: HOLD });
    const { endpoint } = server;
    const runs = endpoint.call('POST', '/runsync', { input: {} });
    await server.logged('started');
    const waits = await endpoint.run({});
    const told = endpoint.settled(waits);
    await endpoint.status(waits);
    expect(await endpoint.stop()).toBe(0);
    const { body } = await runs;
    expect(body).toMatchObject({ status: 'FAILED' });
    expect(JSON.parse(String(body.error))).toMatchObject({ error_code: 'shutdown' });
    expect(await told).toMatchObject({ status: 'FAILED', error: expect.stringContaining('submit it again') });
  });

  test('while a job winds up: results are there, and no job is taken any more', async () => {
    server = await startEndpointProcess({
      handler: `async (job, { signal, log }) => {
        if (!job.input.slow) return 'before';
        log.info('started');
        await aborted(signal).catch(() => undefined);
        log.info('winding up');
        await sleep(1500);
        return 'whole';
      }`,
    });
    const { endpoint } = server;
    const before = await endpoint.run({});
    const slow = await endpoint.run({ slow: true });
    await server.logged('started');
    const waits = await endpoint.run({});
    server.kill('SIGTERM');
    await server.logged('winding up');
    expect(await endpoint.status(before)).toMatchObject({ output: 'before' });
    expect(await endpoint.status(waits)).toMatchObject({
      status: 'FAILED',
      error: expect.stringContaining('stopped before the job began'),
    });
    expect(await endpoint.call('POST', '/run', { input: {} })).toEqual({
      status: 503,
      body: { error: expect.stringContaining('takes no more jobs') },
    });
    expect(await endpoint.settled(slow)).toMatchObject({ status: 'COMPLETED', output: 'whole' });
    expect(await server.ended).toBe(0);
  });
});

test('a handler that fails outside of its job ends the endpoint, and the job says why', async () => {
  server = await startEndpointProcess({
    handler: `async () => { setTimeout(() => { throw new Error('stray'); }, 10); await sleep(60000, undefined, { ref: false }); }`,
  });
  const { body } = await server.endpoint.call('POST', '/runsync', { input: {} });
  expect(body).toMatchObject({ status: 'FAILED', error: expect.stringContaining('stray') });
  expect(await server.ended).toBe(1);
});

test('a worker that is not fit takes no job and ends with 1', async () => {
  const program = await startHandler({
    handler: 'async () => 1',
    options: `{ fitnessChecks: [{ name: 'gpu', check: () => Promise.reject(new Error('no GPU: set X')) }] }`,
    args: ['--rp_serve_api', '--rp_api_port', '0'],
  });
  await using _ = program;
  expect(await program.ended).toBe(1);
  expect(program.log()).toContain('no GPU: set X');
});

test('a port that is taken is an error that says so', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  await using program: WorkerProcess = await startHandler({
    handler: 'async () => 1',
    args: ['--rp_serve_api', '--rp_api_port', port],
  });
  expect(await program.ended).toBe(1);
  expect(program.log()).toMatch(new RegExp(`cannot listen at 127.0.0.1, port ${port}: .*EADDRINUSE`));
  other.close();
});

test('it ends when the process that started it with a channel is killed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'orphan-'));
  try {
    const handler = `import { serve } from ${JSON.stringify(SERVE)}; await serve(() => 1);`;
    await writeFile(join(folder, 'handler.mjs'), handler);
    await writeFile(
      join(folder, 'parent.mjs'),
      `import { fork } from 'node:child_process';
       const args = ['--rp_serve_api', '--rp_api_port', '0'];
       const child = fork('handler.mjs', args, { stdio: ['ignore', 'pipe', 'ignore', 'ipc'] });
       child.stdout.once('data', (line) => console.log(JSON.stringify({ pid: child.pid, ...JSON.parse(line) })));`,
    );
    const parent = spawn(process.execPath, ['parent.mjs'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
    const { pid, url } = JSON.parse(line) as { pid: number; url: string };
    expect((await fetch(`${url}/health`)).status).toBe(200);
    parent.kill('SIGKILL');
    // It has the parent's end of its standard output: that closes when both are gone.
    await once(parent.stdout, 'close').catch(() => undefined);
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
    await expect(fetch(`${url}/health`)).rejects.toThrow('fetch failed');
  } finally {
    await rm(folder, { recursive: true });
  }
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
