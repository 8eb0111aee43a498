import { ModelError, StoppedError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { ExecutionProvider } from '../../base/settings.ts';
import type { Backbone } from '../../model/backbones.ts';
import type { Trainer, TrainerOptions } from '../../training/trainer.ts';
import type { Balance } from '../balance.ts';
import type { EpochRow } from '../epoch-row.ts';
import type { TrainingConfig } from '../input-config.ts';
import type { Loader } from '../pictures/loader.ts';
import type { Splits } from '../plan-data.ts';
import type { CreateTrainer } from '../tools.ts';
import type { Baselines } from '../metrics/baselines.ts';
import type { Found } from '../resume.ts';
import { openCheckpoints, type Groundwork, type RunData } from './checkpoints.ts';
import type { Course } from './course.ts';
import { freshState, runEpochs, type EpochsState, type StepNews, type StoppedBecause } from './epochs.ts';
import { scheduleOf } from './specs.ts';

export interface TrainOptions {
  config: TrainingConfig;
  backbone: Backbone;
  splits: Splits;
  data: RunData;
  balance: Balance;
  loader: Loader;
  createTrainer: CreateTrainer;
  /** Where checkpoints are kept. */
  folder: string;
  resumed: Found | undefined;
  /** Between two checkpoints at least; 0: one after every step. */
  checkpointIntervalMs?: number | undefined;
  machine: { providers: readonly ExecutionProvider[]; requireGpu: boolean; threads?: number };
  news: TrainNews;
  log: Log;
  signal: AbortSignal;
}

/** What is told while a run goes on. */
export interface TrainNews {
  onFeatures: (progress: { images: number; total: number }) => void;
  /** The first result. */
  onBaselines: (baselines: Baselines) => void;
  /** `rows`: of all epochs so far. */
  onStep: (news: StepNews, rows: readonly EpochRow[]) => void;
  onEpoch: (row: EpochRow, rows: readonly EpochRow[]) => void;
  /** Told of each checkpoint that lies in the folder; what it resolves to is not waited for. */
  onCheckpoint: (path: string) => void;
  /** The run ends before it is done, and its checkpoint is worth going on from: it is to be put where that is found. */
  onCutOff: (path: string) => Promise<void>;
}

/** A trained model, with what is needed to measure it and to write it. */
export interface TrainedRun extends AsyncDisposable {
  trainer: Trainer;
  course: Course;
  groundwork: Groundwork;
  state: EpochsState;
  stoppedBecause: StoppedBecause;
  /** Null: it began anew. */
  resumedFromEpoch: number | null;
  /** Of its end; null where it could not be written. */
  checkpoint: string | null;
}

export interface Main {
  trainerOptions: TrainerOptions;
  groundwork: Groundwork;
  /** The highest learning rate. */
  rate: number;
  courseOf: (trainer: Trainer) => Course;
}

/** The epochs that the job asks for, with checkpoints; those of an earlier attempt count. */
export async function runMain(options: TrainOptions, main: Main): Promise<TrainedRun> {
  const { config, data, folder, resumed, news, log, signal } = options;
  const { groundwork } = main;
  const trainer = await options.createTrainer(main.trainerOptions);
  try {
    if (resumed !== undefined) await trainer.restore(resumed.checkpoint.trainer);
    const state = resumed === undefined ? freshState() : structuredClone(resumed.state);
    const course = main.courseOf(trainer);
    const checkpoints = openCheckpoints({
      folder,
      trainer,
      groundwork,
      data,
      intervalMs: options.checkpointIntervalMs,
      log,
    });
    const { steps } = course;
    const { epochs } = config;
    const resumedFromEpoch = resumed?.state.sampler.epoch ?? null;
    log.info(`[Training] ${groundwork.plan} on ${trainer.provider}: ${epochs} epochs of ${steps} steps`, {
      ...trainer.parameters,
      micro_batch: trainer.microBatch,
      resumed_from_epoch: resumedFromEpoch,
    });
    const stoppedBecause = await runEpochs({
      trainer,
      course,
      schedule: scheduleOf({ config, rate: main.rate, epochs, steps }),
      config,
      epochs,
      classes: data.classNames.length,
      state,
      isAsked: resumed?.isAsked ?? false,
      onStep: (step) => news.onStep(step, state.rows),
      onEpoch: (row) => news.onEpoch(row, state.rows),
      onRest: async (now) => {
        if (await checkpoints.offer(now)) news.onCheckpoint(checkpoints.path);
      },
      log,
      signal,
    }).catch(async (error: unknown) => {
      if (isToGoOn(error, signal)) {
        if (await checkpoints.write(state)) await news.onCutOff(checkpoints.path);
      }
      throw error;
    });
    const isWritten = await checkpoints.write(state);
    return {
      trainer,
      course,
      groundwork,
      state,
      stoppedBecause,
      resumedFromEpoch,
      checkpoint: isWritten ? checkpoints.path : null,
      [Symbol.asyncDispose]: () => trainer.close(),
    };
  } catch (error) {
    await trainer.close();
    throw error;
  }
}

/** A shutdown: the job runs again. A loss that is not finite: another rate may do, and the weights are those before it. */
function isToGoOn(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted) return signal.reason instanceof StoppedError && signal.reason.code === 'shutdown';
  return error instanceof ModelError && error.code === 'loss_not_finite';
}
