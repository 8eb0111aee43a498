import { describe, expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../../src/base/log.ts';
import { parseClassificationInput } from '../../../src/classification/input.ts';
import type { TrainingConfig } from '../../../src/classification/input-config.ts';
import { blendAlphaOf, planOf, scheduleOf, strategyOf } from '../../../src/classification/train/specs.ts';
import { trainerOptions } from '../../../src/classification/train/trainer-options.ts';
import { inMemory, SIDE, tinyVit } from '../../training/support.ts';
import { NEVER, sample } from '../support.ts';

const configOf = (config: object): TrainingConfig =>
  parseClassificationInput({ dataset: { class_names: ['a', 'b'] }, config }).config;

/** What a trainer is told by a job of 100 images to train with. */
function told(config: object, images = 100) {
  const train = Array.from({ length: images }, () => sample({ url: 'x' }));
  const {
    model: _model,
    features: _features,
    log: _log,
    signal: _signal,
    ...options
  } = trainerOptions(
    {
      config: configOf(config),
      backbone: { ...inMemory(tinyVit()), side: SIDE, features: null, isTrainable: true },
      machine: { providers: ['cpu'], requireGpu: false },
      splits: { train, val: [], test: [] },
      data: { classNames: ['a', 'b'], key: '' },
      folder: '/x',
      log: SILENT_LOG,
      signal: NEVER,
    },
    'full',
  );
  return options;
}

test('a job that says nothing trains with the defaults of the contract', () => {
  expect(told({})).toEqual({
    classes: 2,
    strategy: { kind: 'full', layerDecay: 0.75 },
    loss: { kind: 'cross_entropy', smoothing: 0.1 },
    optimiser: { kind: 'adamw', weightDecay: 0.01 },
    clipNorm: 1,
    averageDecay: 0.9999,
    dropRate: 0.1,
    batchSize: 32,
    pixels: 'uint8',
    seed: 42,
    providers: ['cpu'],
    requireGpu: false,
    folder: '/x',
  });
});

test.each([
  [{ loss: 'cross_entropy' }, { loss: { kind: 'cross_entropy', smoothing: 0 } }],
  [{ loss_smoothing: 0.2 }, { loss: { kind: 'cross_entropy', smoothing: 0.2 } }],
  [{ loss: 'focal', focal_gamma: 3 }, { loss: { kind: 'focal', gamma: 3, smoothing: 0 } }],
  [{ loss: 'poly' }, { loss: { kind: 'poly', epsilon: 1, smoothing: 0 } }],
  [{ loss: 'arcface' }, { loss: { kind: 'arcface', margin: 0.3, scale: 30, smoothing: 0 } }],
  [{ loss: 'cosface' }, { loss: { kind: 'cosface', margin: 0.2, scale: 30, smoothing: 0 } }],
  [{ loss: 'circle' }, { loss: { kind: 'circle', margin: 0.25, scale: 32 } }],
  [{ optimizer: 'adam', weight_decay: 0.3 }, { optimiser: { kind: 'adam', weightDecay: 0.3 } }],
  [
    { optimizer: 'sgd', weight_decay: 0 },
    { optimiser: { kind: 'sgd', weightDecay: 0, momentum: 0.9, nesterov: true } },
  ],
  [{ gradient_clip: 0.5 }, { clipNorm: 0.5 }],
  [{ gradient_clip: 0 }, { clipNorm: null }],
  [{ use_ema: false }, { averageDecay: null }],
  [{ ema_decay: 0.5 }, { averageDecay: 0.5 }],
  [{ drop_rate: 0.3 }, { dropRate: 0.3 }],
  [{ batch_size: 8, gradient_accumulation: 3 }, { batchSize: 24 }],
  [{ seed: 7 }, { seed: 7 }],
  [{ layer_decay: 0.9 }, { strategy: { kind: 'full', layerDecay: 0.9 } }],
])('%j', (config, expected) => {
  expect(told(config)).toEqual({ ...told({}), ...expected });
});

test('a step has no more images than there are', () => {
  expect(told({ batch_size: 32, gradient_accumulation: 8 }, 20).batchSize).toBe(20);
  expect(told({}, 0).batchSize).toBe(1);
});

describe('the strategy', () => {
  test('is as asked, else all weights from a head on a GPU, where they can learn', () => {
    const machine = { hasGpu: true, isTrainable: true };
    expect(planOf(configOf({}), machine)).toBe('head_then_full');
    expect(planOf(configOf({}), { ...machine, hasGpu: false })).toBe('head');
    expect(planOf(configOf({}), { ...machine, isTrainable: false })).toBe('head');
    expect(planOf(configOf({ strategy: 'lora' }), { hasGpu: false, isTrainable: true })).toBe('lora');
  });

  test('has the sizes that the job says', () => {
    const config = configOf({ lora_rank: 4, last_k: 3 });
    expect(strategyOf('lora', config)).toEqual({ kind: 'lora', rank: 4, alpha: 8 });
    expect(strategyOf('last_k', config)).toEqual({ kind: 'last_k', layers: 3 });
    expect(strategyOf('head', config)).toEqual({ kind: 'head' });
  });
});

describe('the schedule', () => {
  const of = (config: object) => scheduleOf({ config: configOf(config), rate: 0.5, epochs: 10, steps: 8 });

  test.each([
    [{}, { kind: 'cosine', base: 0.5, total: 80, warmup: 16 }],
    [{ warmup_epochs: 9 }, { kind: 'cosine', base: 0.5, total: 80, warmup: 27 }],
    [{ scheduler: 'cosine' }, { kind: 'cosine', base: 0.5, total: 80 }],
    [{ scheduler: 'onecycle' }, { kind: 'onecycle', peak: 0.5, total: 80 }],
    [
      { scheduler: 'step', warmup_epochs: 0 },
      { kind: 'step', base: 0.5, every: 20, warmup: 0 },
    ],
    [{ scheduler: 'step' }, { kind: 'step', base: 0.5, every: 16, warmup: 16 }],
    [{ scheduler: 'plateau' }, { kind: 'plateau', base: 0.5, better: 'higher', warmup: 16 }],
    [
      { scheduler: 'plateau', early_stopping_metric: 'val_loss' },
      { kind: 'plateau', base: 0.5, better: 'lower', warmup: 16 },
    ],
  ])('%j', (config, expected) => {
    expect(of(config)).toEqual(expected);
  });
});

test('features are blended by the alpha of either mixture, where mixing is asked for', () => {
  expect(blendAlphaOf(configOf({}))).toBe(0);
  expect(blendAlphaOf(configOf({ use_mixup: true }))).toBe(0.8);
  expect(blendAlphaOf(configOf({ use_mixup: true, mixup_alpha: 0, cutmix_alpha: 0.4 }))).toBe(0.4);
  expect(blendAlphaOf(configOf({ use_mixup: true, mixup_alpha: 0, cutmix_alpha: 0 }))).toBe(0);
});
