import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { HandlerError } from '../../src/base/errors.ts';
import { SILENT_LOG } from '../../src/base/log.ts';
import { findUnfit, type FitnessCheck } from '../../src/worker/fitness.ts';
import { machineChecks } from '../../src/worker/machine-checks.ts';
import { startSimulator } from '../../src/worker/simulator/simulator.ts';
import { startWorker } from './support.ts';

const { signal } = new AbortController();
const find = (checks: readonly FitnessCheck[], timeoutMs?: number) =>
  findUnfit(checks, { log: SILENT_LOG, signal }, timeoutMs);

describe('checks', () => {
  const good: FitnessCheck = { name: 'good', check: () => Promise.resolve() };
  const bad: FitnessCheck = {
    name: 'bad',
    check: () => Promise.reject(new HandlerError('x', 'Bearer plain4711 refused: set KEY')),
  };
  const hangs: FitnessCheck = { name: 'hangs', check: () => new Promise(() => undefined) };

  test('all hold', async () => {
    expect(await find([good, good])).toBeUndefined();
  });

  test('the first that fails is named, with its reason and no secret', async () => {
    const unfit = await find([good, bad, hangs], 50);
    expect(unfit).toEqual({ check: 'bad', reason: 'Bearer [redacted] refused: set KEY' });
  });

  test('one that gives no answer fails', async () => {
    expect(await find([hangs], 50)).toEqual({ check: 'hangs', reason: 'it gave no answer within 50 ms' });
  });
});

describe('memory and disk', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'machine-'));
  });
  afterEach(async () => {
    await rm(root, { recursive: true });
  });
  const put = async (files: Record<string, string>): Promise<void> => {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(root, path, '..'), { recursive: true });
      await writeFile(join(root, path), text);
    }
  };
  const meminfo = { 'proc/meminfo': 'MemTotal: 9000 kB\nMemAvailable:    8000 kB\n' };

  test('too little of either says how much is needed and what to do', async () => {
    await put(meminfo);
    const memory = await find(machineChecks({ root, folder: root }));
    expect(memory).toEqual({
      check: 'memory',
      reason: expect.stringMatching(/7 MiB of memory.*256 MiB.*more/),
    });
    const disk = await find(
      machineChecks({ folder: root, minFreeMemoryBytes: 0, minFreeDiskBytes: 2 ** 60 }),
    );
    expect(disk).toEqual({ check: 'disk', reason: expect.stringMatching(/of disk at .* larger disk/) });
  });
});

test('a worker that is not fit reports it, says what to do, takes nothing and exits with 1', async () => {
  await using simulator = await startSimulator();
  await using worker = await startWorker(simulator, {
    handler: 'async () => 1',
    options: `{ fitnessChecks: [{ name: 'gpu', check: () => Promise.reject(new Error('no GPU: set X')) }] }`,
  });
  simulator.submit({});
  expect(await worker.ended).toBe(1);
  expect(simulator.requests.map(({ route, query }) => ({ route, query }))).toEqual([
    {
      route: 'ping',
      query: expect.objectContaining({ status: 'unhealthy', check: 'gpu', reason: 'no GPU: set X' }),
    },
  ]);
  expect(worker.log()).toContain('no GPU: set X');
});
