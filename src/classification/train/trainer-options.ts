import type { TrainerOptions } from '../../training/trainer.ts';
import type { Groundwork } from './checkpoints.ts';
import type { TrainOptions } from './run-main.ts';
import { lossOf, optimiserOf, strategyOf, type Plan } from './specs.ts';

/** What a trainer is told whose epochs are of no matter to it. */
type ForTrainer = Pick<
  TrainOptions,
  'config' | 'backbone' | 'machine' | 'splits' | 'data' | 'folder' | 'log' | 'signal'
>;

export function trainerOptions(options: ForTrainer, plan: Exclude<Plan, 'head_then_full'>): TrainerOptions {
  const { config, backbone, machine, splits, folder, log, signal } = options;
  const batch = config.batch_size * config.gradient_accumulation;
  return {
    model: backbone,
    features:
      backbone.features === null
        ? { kind: 'before_classifier' }
        : { kind: 'output', outputs: backbone.features },
    classes: options.data.classNames.length,
    strategy: strategyOf(plan, config),
    loss: lossOf(config),
    optimiser: optimiserOf(config),
    clipNorm: config.gradient_clip === 0 ? null : config.gradient_clip,
    averageDecay: config.use_ema ? config.ema_decay : null,
    dropRate: config.drop_rate,
    batchSize: Math.max(1, Math.min(batch, splits.train.length)),
    pixels: 'uint8',
    seed: config.seed,
    ...machine,
    folder,
    log,
    signal,
  };
}

/** Of the trainer that makes the epochs which the job asks for. */
export function mainTrainerOptions(
  options: TrainOptions,
  { plan, statistics }: Pick<Groundwork, 'plan' | 'statistics'>,
): TrainerOptions {
  const { resumed } = options;
  return {
    ...trainerOptions(options, plan === 'head_then_full' ? 'full' : plan),
    ...(statistics && { featureStatistics: statistics }),
    ...(resumed && { microBatch: resumed.checkpoint.trainer.microBatch }),
  };
}
