import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { readCheckpoint, writeCheckpoint } from '../../src/training/checkpoint.ts';
import { createTrainer } from '../../src/training/create-trainer.ts';
import type { Strategy, TrainerOptions } from '../../src/training/trainer.ts';
import { BATCH, pictures, trainerOptions } from './support.ts';

const CHILD = fileURLToPath(new URL('./train-child.ts', import.meta.url));
const STEPS = 9;

let folder = '';
/** Where killed processes leave their passing files. */
let passing = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'resume-'));
  passing = await mkdtemp(join(tmpdir(), 'resume-passing-'));
});
afterEach(() => Promise.all([folder, passing].map((path) => rm(path, { recursive: true }))));

/** What the process printed, line by line; killed once it has printed so many. */
async function train(
  checkpoint: string,
  { killAfter = Infinity, microBatch = BATCH }: { killAfter?: number; microBatch?: number } = {},
): Promise<{ lines: string[]; signal: string | null }> {
  const child = spawn(process.execPath, [CHILD, checkpoint, String(STEPS), String(microBatch)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: passing },
  });
  // It may be gone before it has read what it was told.
  child.stdin.on('error', () => undefined);
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    child.stdin.write('\n');
    // Somewhere in its next step.
    if (lines.length === killAfter) child.kill('SIGKILL');
  }
  const [, signal] = await exited;
  return { lines, signal };
}

/** Steps by their number: a step that was made but not yet in the checkpoint is made again. */
function byStep(lines: readonly string[]): Map<number, string> {
  return new Map(lines.map((line) => [(JSON.parse(line) as { step?: number }).step ?? 0, line]));
}

describe('a run killed in the middle of an epoch goes on bit for bit', () => {
  test.each([
    ['a batch in one run', BATCH],
    ['a batch in two', 4],
  ])('%s', async (_, microBatch) => {
    const unbroken = await train(join(folder, 'unbroken'), { microBatch });
    expect(unbroken.lines).toHaveLength(STEPS + 1);
    const path = join(folder, 'killed');
    const first = await train(path, { microBatch, killAfter: 2 });
    const second = await train(path, { microBatch, killAfter: 4 });
    const third = await train(path, { microBatch });
    expect([first.signal, second.signal, third.signal]).toEqual(['SIGKILL', 'SIGKILL', null]);
    const all = [...first.lines, ...second.lines, ...third.lines];
    expect(byStep(all)).toEqual(byStep(unbroken.lines));
    expect((await readdir(folder)).sort()).toEqual(['killed', 'unbroken']);
  });
});

describe('within a process', () => {
  const STRATEGIES: [string, Partial<TrainerOptions>][] = [
    ['lora', { strategy: { kind: 'lora', rank: 2, alpha: 4 } satisfies Strategy }],
    [
      'sgd, layer decay',
      { optimiser: { kind: 'sgd', weightDecay: 0.01 }, strategy: { kind: 'full', layerDecay: 0.8 } },
    ],
    ['no average, no dropout', { averageDecay: null, dropRate: 0, strategy: { kind: 'last_k', layers: 2 } }],
  ];

  test.each(STRATEGIES)('%s', async (_, given) => {
    const path = join(folder, 'run');
    const steps = async (trainer: Awaited<ReturnType<typeof createTrainer>>, from: number, to: number) => {
      const found = [];
      for (let i = from; i < to; i++) {
        found.push(await trainer.step(pictures(BATCH, i), { learningRate: 0.01 }));
      }
      return found;
    };
    await using unbroken = await createTrainer(trainerOptions(given));
    await steps(unbroken, 0, 3);
    const sampler = { epoch: 0, taken: 3 };
    await writeCheckpoint(path, { trainer: await unbroken.state(), sampler, rest: null });
    const expected = await steps(unbroken, 3, 6);

    await using resumed = await createTrainer(trainerOptions(given));
    await steps(resumed, 7, 8);
    await resumed.restore((await readCheckpoint(path)).trainer);
    expect(await steps(resumed, 3, 6)).toEqual(expected);
    expect(await resumed.state()).toEqual(await unbroken.state());
  });

  test('the rows of a run are those of the checkpoint', async () => {
    await using small = await createTrainer(trainerOptions({ microBatch: 2 }));
    await small.step(pictures(), { learningRate: 0.01 });
    const state = await small.state();
    const expected = await small.step(pictures(BATCH, 2), { learningRate: 0.01 });
    await using resumed = await createTrainer(trainerOptions({ microBatch: BATCH }));
    await resumed.restore(state);
    expect(resumed.microBatch).toBe(2);
    expect(await resumed.step(pictures(BATCH, 2), { learningRate: 0.01 })).toEqual(expected);
  });
});

test.each<[string, Partial<TrainerOptions>]>([
  ['strategy', { strategy: { kind: 'lora', rank: 2, alpha: 4 } }],
  ['loss', { loss: { kind: 'cross_entropy', smoothing: 0.2 } }],
  ['optimiser', { optimiser: { kind: 'adamw', weightDecay: 0.1 } }],
  ['seed', { seed: 6 }],
  ['classes', { classes: 4 }],
])('a state of another %s is refused', async (_, other) => {
  await using trainer = await createTrainer(trainerOptions());
  await using stranger = await createTrainer(trainerOptions(other));
  const before = await trainer.state();
  await expect(trainer.restore(await stranger.state())).rejects.toMatchObject({
    code: 'checkpoint_mismatch',
  });
  expect(await trainer.state()).toEqual(before);
});
