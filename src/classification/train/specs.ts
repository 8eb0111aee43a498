import type { LossSpec } from '../../training/loss-spec.ts';
import type { OptimiserSpec } from '../../training/optimiser-spec.ts';
import type { Schedule } from '../../training/schedules.ts';
import type { Strategy } from '../../training/trainer.ts';
import type { TrainingConfig } from '../input-config.ts';

/** What a run does: a strategy of the trainer's, or a head first and all weights from there. */
export type Plan = Strategy['kind'] | 'head_then_full';

/**
 * Where the job leaves it open: all weights from a trained head on a GPU; without one, or where the model has no weights
 * that could learn, a head on its features.
 */
export function planOf(
  { strategy }: Pick<TrainingConfig, 'strategy'>,
  { hasGpu, isTrainable }: { hasGpu: boolean; isTrainable: boolean },
): Plan {
  if (strategy !== 'auto') return strategy;
  return hasGpu && isTrainable ? 'head_then_full' : 'head';
}

export function strategyOf(plan: Exclude<Plan, 'head_then_full'>, config: TrainingConfig): Strategy {
  switch (plan) {
    case 'head':
      return { kind: 'head' };
    case 'lora':
      return { kind: 'lora', rank: config.lora_rank, alpha: LORA_ALPHA * config.lora_rank };
    case 'last_k':
      return { kind: 'last_k', layers: config.last_k };
    case 'full':
      return { kind: 'full', layerDecay: config.layer_decay };
  }
}

/** Updates of low rank count twice, as their authors' code has it. */
const LORA_ALPHA = 2;
const POLY_EPSILON = 1;
/** Of the papers' ranges the gentler ends: a class here has tens of images, not thousands. */
const ARCFACE = { margin: 0.3, scale: 30 };
const COSFACE = { margin: 0.2, scale: 30 };
const CIRCLE = { margin: 0.25, scale: 32 };

export function lossOf({ loss, loss_smoothing: smoothing, focal_gamma: gamma }: TrainingConfig): LossSpec {
  switch (loss) {
    case 'label_smoothing':
      return { kind: 'cross_entropy', smoothing };
    case 'cross_entropy':
      return { kind: 'cross_entropy', smoothing: 0 };
    case 'focal':
      return { kind: 'focal', gamma, smoothing: 0 };
    case 'poly':
      return { kind: 'poly', epsilon: POLY_EPSILON, smoothing: 0 };
    case 'arcface':
      return { kind: 'arcface', ...ARCFACE, smoothing: 0 };
    case 'cosface':
      return { kind: 'cosface', ...COSFACE, smoothing: 0 };
    case 'circle':
      return { kind: 'circle', ...CIRCLE };
  }
}

export function optimiserOf({ optimizer, weight_decay: weightDecay }: TrainingConfig): OptimiserSpec {
  return optimizer === 'sgd'
    ? { kind: 'sgd', weightDecay, momentum: 0.9, nesterov: true }
    : { kind: optimizer, weightDecay };
}

/** Of the blends of features, from which no patch can be cut: 0 where they are not mixed. */
export function blendAlphaOf({ use_mixup: mixes, mixup_alpha, cutmix_alpha }: TrainingConfig): number {
  if (!mixes) return 0;
  return mixup_alpha > 0 ? mixup_alpha : cutmix_alpha;
}

/** Of all epochs, what warming up takes at most. */
const MAX_WARMUP_SHARE = 1 / 3;
/** How often `step` lowers the rate in a run. */
const STEP_DROPS = 3;

export interface ScheduleOptions {
  config: TrainingConfig;
  /** The highest rate. */
  rate: number;
  epochs: number;
  /** Updates of one epoch. */
  steps: number;
}

export function scheduleOf({ config, rate, epochs, steps }: ScheduleOptions): Schedule {
  const total = epochs * steps;
  const warmup = Math.round(Math.min(config.warmup_epochs, epochs * MAX_WARMUP_SHARE) * steps);
  switch (config.scheduler) {
    case 'cosine_warmup':
      return { kind: 'cosine', base: rate, total, warmup };
    case 'cosine':
      return { kind: 'cosine', base: rate, total };
    case 'onecycle':
      return { kind: 'onecycle', peak: rate, total };
    case 'step':
      return {
        kind: 'step',
        base: rate,
        every: Math.max(1, Math.ceil((total - warmup) / (STEP_DROPS + 1))),
        warmup,
      };
    case 'plateau':
      return {
        kind: 'plateau',
        base: rate,
        better: config.early_stopping_metric === 'val_loss' ? 'lower' : 'higher',
        warmup,
      };
  }
}

/**
 * A head on features learns alone and from nothing: the rate that suits all weights of a trained model would take it
 * ten times as long.
 */
export const HEAD_RATE_FACTOR = 10;
