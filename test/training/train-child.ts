/**
 * Trains the tiny model on twenty pictures and writes a checkpoint after every step, one line of JSON a step, and waits
 * for a line before the next: `node train-child.ts <checkpoint> <steps> <microBatch>`. Goes on from the checkpoint where
 * there is one.
 */
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { readCheckpoint, writeCheckpoint, type Checkpoint } from '../../src/training/checkpoint.ts';
import { createTrainer } from '../../src/training/create-trainer.ts';
import { batchesFrom, epochOrder, type SamplerPosition } from '../../src/training/sampler.ts';
import { learningRateAt } from '../../src/training/schedules.ts';
import type { Trainer } from '../../src/training/trainer.ts';
import { BATCH, CLASSES, PICTURE_BYTES, pictures, trainerOptions } from './support.ts';

const COUNT = 20;
const [path = '', steps = '0', microBatch = '1'] = process.argv.slice(2);

async function resume(trainer: Trainer): Promise<Pick<Checkpoint, 'sampler' | 'rest'>> {
  if (!existsSync(path)) return { sampler: { epoch: 0, taken: 0 }, rest: [] };
  const checkpoint = await readCheckpoint(path, (await trainer.state()).configuration);
  await trainer.restore(checkpoint.trainer);
  return checkpoint;
}

async function main(): Promise<void> {
  const data = pictures(COUNT);
  const orders = createInterface({ input: process.stdin });
  const goOn = orders[Symbol.asyncIterator]();
  await using trainer = await createTrainer(trainerOptions({ microBatch: Number(microBatch) }));
  const begun = await resume(trainer);
  const sampler: SamplerPosition = { ...begun.sampler };
  for (let step = (await trainer.state()).step; step < Number(steps);) {
    const order = epochOrder({ count: COUNT, seed: 3, epoch: sampler.epoch });
    for (const rows of batchesFrom(order, BATCH, sampler.taken)) {
      if (step >= Number(steps)) break;
      const pick = (values: Uint8Array | Float32Array, length: number): number[] =>
        Array.from(rows, (row) => [...values.subarray(row * length, (row + 1) * length)]).flat();
      const batch = {
        inputs: Uint8Array.from(pick(data.inputs, PICTURE_BYTES)),
        targets: Float32Array.from(pick(data.targets, CLASSES)),
        weights: new Float32Array(rows.length).fill(1),
      };
      const learningRate = learningRateAt({ kind: 'cosine', base: 0.02, total: 16, warmup: 3 }, { step });
      const { loss, gradientNorm } = await trainer.step(batch, { learningRate });
      step += 1;
      if (step === 2) await trainer.markBest();
      sampler.taken += rows.length;
      await writeCheckpoint(path, { trainer: await trainer.state(), sampler, rest: [] });
      process.stdout.write(`${JSON.stringify({ step, loss, gradientNorm })}\n`);
      await goOn.next();
    }
    if (sampler.taken >= COUNT) Object.assign(sampler, { epoch: sampler.epoch + 1, taken: 0 });
  }
  orders.close();
  const logits = async (weights: 'current' | 'average' | 'best'): Promise<number[]> =>
    Array.from(await trainer.evaluate(data.inputs, COUNT, { weights }));
  const last = {
    current: await logits('current'),
    average: await logits('average'),
    best: await logits('best'),
  };
  process.stdout.write(`${JSON.stringify(last)}\n`);
}

await main();
