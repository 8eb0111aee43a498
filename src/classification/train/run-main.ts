import { ModelError, StoppedError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { ExecutionProvider } from '../../base/settings.ts';
import type { Backbone } from '../../model/backbones.ts';
import { configurationOf } from '../../training/configuration.ts';
import { createTrainer } from '../../training/create-trainer.ts';
import type { Trainer, TrainerOptions } from '../../training/trainer.ts';
import type { Balance } from '../balance.ts';
import type { EpochRow } from '../epoch-row.ts';
import type { TrainingConfig } from '../input-config.ts';
import type { Loader } from '../pictures/loader.ts';
import type { Splits } from '../plan-data.ts';
import { openCheckpoints, type Groundwork, type Resumed } from './checkpoints.ts';
import type { Course } from './course.ts';
import { freshState, runEpochs, type EpochsState, type StepNews, type StoppedBecause } from './epochs.ts';
import { scheduleOf } from './specs.ts';

export interface TrainOptions {
  config: TrainingConfig;
  backbone: Backbone;
  splits: Splits;
  classes: number;
  balance: Balance;
  loader: Loader;
  /** Where checkpoints are kept. */
  folder: string;
  resumed: Resumed | undefined;
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
  onGroundwork: (groundwork: Groundwork) => void;
  onStep: (news: StepNews) => void;
  onEpoch: (row: EpochRow) => void;
  /** Told of each checkpoint that lies in the folder; what it resolves to is not waited for. */
  onCheckpoint: (path: string) => void;
  /** The platform stops the run: its last chance to put a checkpoint where the next attempt finds it. */
  onShutdown: (path: string) => Promise<void>;
}

/** A trained model, with what is needed to measure it and to write it. */
export interface TrainedRun extends AsyncDisposable {
  trainer: Trainer;
  course: Course;
  groundwork: Groundwork;
  state: EpochsState;
  stoppedBecause: StoppedBecause;
  checkpoint: string;
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
  const { config, classes, folder, resumed, news, log, signal } = options;
  const { groundwork } = main;
  news.onGroundwork(groundwork);
  await refuseOther(main.trainerOptions, resumed);
  const trainer = await createTrainer(main.trainerOptions);
  try {
    if (resumed !== undefined) await trainer.restore(resumed.checkpoint.trainer);
    const state = resumed === undefined ? freshState() : structuredClone(resumed.state);
    const course = main.courseOf(trainer);
    const checkpoints = openCheckpoints({
      folder,
      trainer,
      groundwork,
      intervalMs: options.checkpointIntervalMs,
      log,
    });
    const { steps } = course;
    const { epochs } = config;
    log.info(`[Training] ${groundwork.plan} on ${trainer.provider}: ${epochs} epochs of ${steps} steps`, {
      ...trainer.parameters,
      micro_batch: trainer.microBatch,
      resumed_from_epoch: resumed === undefined ? undefined : state.sampler.epoch,
    });
    const stoppedBecause = await runEpochs({
      trainer,
      course,
      schedule: scheduleOf({ config, rate: main.rate, epochs, steps }),
      config,
      epochs,
      classes,
      state,
      onStep: news.onStep,
      onEpoch: news.onEpoch,
      onRest: async (now) => {
        if (await checkpoints.offer(now)) news.onCheckpoint(checkpoints.path);
      },
      log,
      signal,
    }).catch(async (error: unknown) => {
      if (signal.reason instanceof StoppedError && signal.reason.code === 'shutdown') {
        await checkpoints.write(state);
        await news.onShutdown(checkpoints.path);
      }
      throw error;
    });
    await checkpoints.write(state);
    return {
      trainer,
      course,
      groundwork,
      state,
      stoppedBecause,
      checkpoint: checkpoints.path,
      [Symbol.asyncDispose]: () => trainer.close(),
    };
  } catch (error) {
    await trainer.close();
    throw error;
  }
}

/** @throws ModelError `checkpoint_mismatch`, before the trainer is made */
async function refuseOther(options: TrainerOptions, resumed: Resumed | undefined): Promise<void> {
  if (resumed === undefined) return;
  const configuration = await configurationOf(options);
  if (resumed.checkpoint.trainer.configuration === configuration) return;
  throw new ModelError(
    'checkpoint_mismatch',
    'the checkpoint to resume from is of another configuration: resume with the same model, classes, strategy, loss, ' +
      'optimiser, batch size and data, or start anew',
  );
}
