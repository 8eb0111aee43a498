import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { readCheckpoint, writeCheckpoint, type Checkpoint } from '../../training/checkpoint.ts';
import type { Trainer } from '../../training/trainer.ts';
import type { Baselines } from '../metrics/baselines.ts';
import type { EpochsState } from './epochs.ts';
import type { FeatureStatistics } from './features.ts';
import type { Plan } from './specs.ts';

/** What a run has found out before its epochs: a run that goes on need not do it again. */
export interface Groundwork {
  plan: Plan;
  baselines: Baselines | null;
  /** Percent, of the head that all weights began with. */
  headAccuracy: number | null;
  statistics: FeatureStatistics | null;
}

export interface Resumed {
  checkpoint: Checkpoint;
  state: EpochsState;
  groundwork: Groundwork;
}

export const CHECKPOINT_FILE = 'checkpoint.safetensors';

const numbers = z.array(z.number());
const REST = z.object({
  epochs: z.custom<Omit<EpochsState, 'sampler'>>((value) => typeof value === 'object' && value !== null),
  plan: z.custom<Plan>((value) => typeof value === 'string'),
  baselines: z.custom<Baselines>().nullable(),
  headAccuracy: z.number().nullable(),
  statistics: z.object({ mean: numbers, deviation: numbers }).nullable(),
});

export interface CheckpointsOptions {
  folder: string;
  trainer: Trainer;
  groundwork: Groundwork;
  /** Between two at least. */
  intervalMs?: number | undefined;
  log: Log;
}

/** The run's checkpoints: one file, written again and again. */
export interface Checkpoints {
  readonly path: string;
  /** Writes one if the last is old enough: writing takes a twentieth of the time at most. @returns true where it did */
  offer(state: EpochsState): Promise<boolean>;
  write(state: EpochsState): Promise<void>;
}

const INTERVAL_MS = 20_000;
const TIME_SHARE = 20;

export function openCheckpoints(options: CheckpointsOptions): Checkpoints {
  const { folder, trainer, groundwork, intervalMs = INTERVAL_MS, log } = options;
  const path = join(folder, CHECKPOINT_FILE);
  let next = performance.now() + intervalMs;
  const write = async (state: EpochsState): Promise<void> => {
    const begun = performance.now();
    const { sampler, ...epochs } = state;
    const { mean, deviation } = groundwork.statistics ?? {};
    const rest = {
      epochs,
      ...groundwork,
      statistics: mean && deviation ? { mean: [...mean], deviation: [...deviation] } : null,
    };
    await writeCheckpoint(path, { trainer: await trainer.state(), sampler, rest });
    const took = performance.now() - begun;
    next = performance.now() + (intervalMs === 0 ? 0 : Math.max(intervalMs, took * TIME_SHARE));
    log.debug('checkpoint written', { epoch: sampler.epoch, taken: sampler.taken, milliseconds: took });
  };
  return {
    path,
    write,
    async offer(state) {
      if (performance.now() < next) return false;
      await write(state);
      return true;
    },
  };
}

/** What a checkpoint's file says. @throws ModelError as `readCheckpoint` does, ZodError for one of another program */
export async function readResumed(path: string): Promise<Resumed> {
  const checkpoint = await readCheckpoint(path);
  const { epochs, statistics, ...groundwork } = REST.parse(checkpoint.rest);
  return {
    checkpoint,
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
