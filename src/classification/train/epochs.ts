import { HandlerError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { learningRateAt, type Schedule } from '../../training/schedules.ts';
import type { SamplerPosition } from '../../training/sampler.ts';
import type { Trainer } from '../../training/trainer.ts';
import type { EpochRow } from '../epoch-row.ts';
import type { TrainingConfig } from '../input-config.ts';
import { classificationMetrics } from '../metrics/metrics.ts';
import type { Course } from './course.ts';
import { bestOf, isStuck, scoreOf } from './history.ts';

/** Where a run of epochs is: what it can go on from, with the trainer's own state. */
export interface EpochsState {
  sampler: SamplerPosition;
  /** Updates made. */
  step: number;
  rows: EpochRow[];
  /** Of the epoch under way. */
  lossSum: number;
  lossSteps: number;
  epochSeconds: number;
  /** Of the last update. */
  learningRate: number;
  /** Time spent so far, in all attempts. */
  seconds: number;
}

export type StoppedBecause = 'all_epochs' | 'no_better' | 'time_budget';

export interface StepNews {
  /** From 1. */
  epoch: number;
  epochs: number;
  /** Of this epoch, from 1. */
  step: number;
  steps: number;
  loss: number;
  learningRate: number;
  /** Of the whole run, if it goes on to its last epoch. */
  secondsLeft: number;
}

export interface EpochsOptions {
  trainer: Trainer;
  course: Course;
  schedule: Schedule;
  config: TrainingConfig;
  epochs: number;
  classes: number;
  state: EpochsState;
  /** Is the state that of a run which the job asks to go on with? Then it goes on, also where that one had ended. */
  isAsked?: boolean;
  onStep: (news: StepNews) => void;
  onEpoch: (row: EpochRow) => void;
  /** After each update and each epoch: whoever keeps checkpoints may want one. */
  onRest: (state: EpochsState) => Promise<void>;
  log: Log;
  signal: AbortSignal;
}

export function freshState(): EpochsState {
  return {
    sampler: { epoch: 0, taken: 0 },
    step: 0,
    rows: [],
    lossSum: 0,
    lossSteps: 0,
    epochSeconds: 0,
    learningRate: 0,
    seconds: 0,
  };
}

/**
 * Trains epoch by epoch: until all are done, until it has got no better for so long, or until its time is over. The best
 * epoch's weights are the trainer's `best`.
 */
export async function runEpochs(options: EpochsOptions): Promise<StoppedBecause> {
  const { epochs, state, isAsked = false, signal } = options;
  const clock = startClock(state);
  let end = isAsked ? undefined : endOf(options);
  while (end === undefined && state.sampler.epoch < epochs) {
    signal.throwIfAborted();
    await runSteps(options, clock);
    await endEpoch(options, clock);
    end = endOf(options);
  }
  return end ?? 'all_epochs';
}

/** What ends a run after the epochs that it has; an epoch that was begun is brought to its end. */
function endOf({ config, state }: EpochsOptions): StoppedBecause | undefined {
  if (state.rows.length === 0 || state.sampler.taken > 0) return undefined;
  if (isTimeOver(config, state)) return 'time_budget';
  return isStuck(state.rows, config) ? 'no_better' : undefined;
}

function isTimeOver({ time_budget_seconds: budget = Infinity }: TrainingConfig, state: EpochsState): boolean {
  return state.seconds >= budget;
}

/** Adds the time that passes to the state. */
function startClock(state: EpochsState): () => void {
  let last = performance.now();
  return () => {
    const now = performance.now();
    state.epochSeconds += (now - last) / 1_000;
    state.seconds += (now - last) / 1_000;
    last = now;
  };
}

/** What is left of the epoch, or of the time. */
async function runSteps(options: EpochsOptions, clock: () => void): Promise<void> {
  const { trainer, course, schedule, config, state, signal } = options;
  const { early_stopping_metric: metric } = config;
  const { epoch, taken } = state.sampler;
  const metrics = state.rows.map((row) => (metric === 'val_loss' ? row.val_loss : scoreOf(row, metric)));
  for await (const batch of course.batches(epoch, taken)) {
    const learningRate = learningRateAt(schedule, { step: state.step, metrics });
    const { loss } = await trainer.step(batch, { learningRate, signal });
    state.step += 1;
    state.learningRate = learningRate;
    state.lossSum += loss;
    state.lossSteps += 1;
    state.sampler.taken = batch.taken;
    clock();
    options.onStep(newsOf(options, loss));
    if (isTimeOver(config, state)) return;
    await options.onRest(state);
  }
}

function newsOf({ course, epochs, state }: EpochsOptions, loss: number): StepNews {
  const all = epochs * course.steps;
  const done = Math.min(all, state.sampler.epoch * course.steps + state.lossSteps);
  return {
    epoch: state.sampler.epoch + 1,
    epochs,
    step: state.lossSteps,
    steps: course.steps,
    loss,
    learningRate: state.learningRate,
    secondsLeft: (state.seconds / Math.max(1, done)) * (all - done),
  };
}

async function endEpoch(options: EpochsOptions, clock: () => void): Promise<void> {
  const { trainer, course, classes, config, epochs, state, log } = options;
  const { samples, logits } = await course.predict('val');
  refuseNothing({ learnt: state.lossSteps, measured: samples.length });
  const found = classificationMetrics({ logits, labels: samples.map(({ label }) => label), classes });
  clock();
  const epoch = state.sampler.epoch + 1;
  const row: EpochRow = {
    epoch,
    train_loss: state.lossSum / Math.max(1, state.lossSteps),
    val_loss: found.loss,
    val_accuracy: found.accuracy,
    val_f1: found.macroF1,
    val_top5_accuracy: found.top5Accuracy,
    learning_rate: state.learningRate,
    epoch_duration_seconds: state.epochSeconds,
    extra_metrics: { steps: state.lossSteps, images: samples.length, micro_batch: trainer.microBatch },
  };
  state.rows.push(row);
  const isBest = bestOf(state.rows, config.early_stopping_metric) === row;
  if (isBest) await trainer.markBest();
  log.info(
    `Epoch ${epoch}/${epochs}: train loss ${row.train_loss.toFixed(4)}, validation loss ${row.val_loss.toFixed(4)}, ` +
      `accuracy ${row.val_accuracy.toFixed(2)}%, F1 ${row.val_f1.toFixed(4)}${isBest ? ' (best)' : ''}`,
    { ...row },
  );
  state.sampler = { epoch, taken: 0 };
  state.lossSum = 0;
  state.lossSteps = 0;
  state.epochSeconds = 0;
  options.onEpoch(row);
  await options.onRest(state);
}

/** Where images are fetched when they are first needed, it shows only now that none of them can be had. */
function refuseNothing({ learnt, measured }: { learnt: number; measured: number }): void {
  if (learnt > 0 && measured > 0) return;
  const what = learnt === 0 ? 'train' : 'validate';
  throw new HandlerError(
    'too_little_data',
    `none of the images to ${what} with could be had: with preload.enabled the report says why`,
  );
}
