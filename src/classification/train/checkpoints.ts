import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { messageOf, ModelError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { readCheckpoint, writeCheckpoint, type Checkpoint } from '../../training/checkpoint.ts';
import type { Trainer } from '../../training/trainer.ts';
import type { EpochRow } from '../epoch-row.ts';
import type { Baselines } from '../metrics/baselines.ts';
import type { EpochsState } from './epochs.ts';
import type { FeatureStatistics } from '../metrics/statistics.ts';
import type { Plan } from './specs.ts';

/** What a run has found out before its epochs: a run that goes on need not do it again. */
export interface Groundwork {
  plan: Plan;
  baselines: Baselines | null;
  /** Percent, of the head that all weights began with. */
  headAccuracy: number | null;
  statistics: FeatureStatistics | null;
}

/** What a checkpoint's numbers are about. */
export interface RunData {
  classNames: readonly string[];
  /** `dataKeyOf` of the dataset. */
  key: string;
}

export interface Resumed {
  checkpoint: Checkpoint;
  state: EpochsState;
  groundwork: Groundwork;
  data: RunData;
}

export const CHECKPOINT_FILE = 'checkpoint.safetensors';

const numbers = z.array(z.number());
/** Figures that are none are null in JSON. */
const ROW = z.custom<EpochRow>((value) => typeof value === 'object' && value !== null && 'epoch' in value);
const EPOCHS = z.object({
  step: z.number(),
  rows: z.array(ROW),
  lossSum: z.number(),
  lossSteps: z.number(),
  epochSeconds: z.number(),
  learningRate: z.number(),
  seconds: z.number(),
});
const REST = z.object({
  epochs: EPOCHS,
  data: z.object({ classNames: z.array(z.string()), key: z.string() }),
  plan: z.enum(['head', 'lora', 'last_k', 'full', 'head_then_full'] satisfies Plan[]),
  baselines: z.custom<Baselines>().nullable(),
  headAccuracy: z.number().nullable(),
  statistics: z.object({ mean: numbers, deviation: numbers }).nullable(),
});

export interface CheckpointsOptions {
  folder: string;
  trainer: Trainer;
  groundwork: Groundwork;
  data: RunData;
  /** Between two at least. */
  intervalMs?: number | undefined;
  log: Log;
}

/** The run's checkpoints: one file, written again and again. */
export interface Checkpoints {
  readonly path: string;
  /** Writes one if the last is old enough: writing takes a twentieth of the time at most. @returns true where it did */
  offer(state: EpochsState): Promise<boolean>;
  /** A disk that is full fails no run: it goes on without. @returns false where it could not be written */
  write(state: EpochsState): Promise<boolean>;
}

const INTERVAL_MS = 20_000;
const TIME_SHARE = 20;

export function openCheckpoints(options: CheckpointsOptions): Checkpoints {
  const { folder, trainer, groundwork, data, intervalMs = INTERVAL_MS, log } = options;
  const path = join(folder, CHECKPOINT_FILE);
  let next = performance.now() + intervalMs;
  const write = async (state: EpochsState): Promise<boolean> => {
    const begun = performance.now();
    const { sampler, ...epochs } = state;
    const { mean, deviation } = groundwork.statistics ?? {};
    const rest = {
      epochs,
      data,
      ...groundwork,
      statistics: mean && deviation ? { mean: [...mean], deviation: [...deviation] } : null,
    };
    const checkpoint = { trainer: await trainer.state(), sampler, rest };
    const isWritten = await writeCheckpoint(path, checkpoint).then(
      () => true,
      (error: unknown) => {
        log.warn('the checkpoint could not be written: the run goes on without', { error: messageOf(error) });
        return false;
      },
    );
    const took = performance.now() - begun;
    next = performance.now() + (intervalMs === 0 ? 0 : Math.max(intervalMs, took * TIME_SHARE));
    if (isWritten)
      log.debug('checkpoint written', { epoch: sampler.epoch, taken: sampler.taken, milliseconds: took });
    return isWritten;
  };
  return {
    path,
    write,
    async offer(state) {
      if (performance.now() < next) return false;
      return write(state);
    },
  };
}

/** What a checkpoint's file says. @throws ModelError as `readCheckpoint` does, also for one of no such run as this */
export async function readResumed(path: string): Promise<Resumed> {
  const checkpoint = await readCheckpoint(path);
  const found = REST.safeParse(checkpoint.rest);
  if (!found.success) {
    throw new ModelError('checkpoint_damaged', `the checkpoint ${path} is of no run of a training job`, {
      cause: found.error,
    });
  }
  const { epochs, data, statistics, ...groundwork } = found.data;
  return {
    checkpoint,
    data,
    state: { ...epochs, sampler: { ...checkpoint.sampler } },
    groundwork: {
      ...groundwork,
      statistics: statistics && {
        mean: Float32Array.from(statistics.mean),
        deviation: Float32Array.from(statistics.deviation),
      },
    },
  };
}

/** The checkpoint that an earlier process left in the run's folder; one that cannot be used is taken away. */
export async function findOwnCheckpoint(folder: string, log: Log): Promise<Resumed | undefined> {
  const path = join(folder, CHECKPOINT_FILE);
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  try {
    return await readResumed(path);
  } catch (error) {
    log.warn('the checkpoint of an earlier attempt cannot be used: the run starts anew', {
      error: messageOf(error),
    });
    await rm(path, { force: true });
    return undefined;
  }
}
