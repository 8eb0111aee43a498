import { z } from 'zod';

import { oneOf, realNumber, wholeNumber, yesOrNo } from '../job/fields.ts';
import { BACKBONE_NAMES } from '../model/backbones.ts';
import { LEGACY_WORKERS, LOADING_FIELDS } from './input-loading.ts';

const STRATEGIES = ['auto', 'head', 'lora', 'last_k', 'full', 'head_then_full'] as const;
export const PRESETS = ['none', 'light', 'medium', 'heavy', 'sota'] as const;
export type AugmentationPreset = (typeof PRESETS)[number];
const STOP_METRICS = ['val_accuracy', 'val_f1', 'val_loss'] as const;

const LOSSES = ['label_smoothing', 'cross_entropy', 'focal', 'arcface', 'cosface', 'circle', 'poly'] as const;
const SCHEDULERS = ['cosine_warmup', 'cosine', 'onecycle', 'step', 'plateau'] as const;
export const DEFAULT_IMAGE_SIDE = 224;
const MAX_EPOCHS = 10_000;
const MAX_BATCH_SIZE = 1_024;
const MAX_SEED = 2 ** 32 - 1;

const positiveUpToOne = () => {
  const error = 'expected a number above 0, at most 1, without quotes';
  return z.number({ error }).gt(0, { error }).max(1, { error });
};

/** At least 0 and below 1: a share that never is the whole. */
const share = () => {
  const error = 'expected a number from 0, below 1, without quotes';
  return z.number({ error }).min(0, { error }).lt(1, { error });
};

/** Above 0 and below 1. */
const part = () => {
  const error = 'expected a number between 0 and 1, without quotes';
  return z.number({ error }).gt(0, { error }).lt(1, { error });
};

/** Whatever stands there is accepted; why it changes nothing is said once, in a warning. */
const withoutMeaning = (why: string) =>
  z.unknown().optional().describe(`Accepted, without a meaning here: ${why}.`);

/** Keys that arrive and change nothing here, and why. */
export const WITHOUT_MEANING = {
  use_amp: 'training runs in float32',
  drop_path_rate: 'an exported graph has no blocks to drop',
} as const;

/** What a run may say about its training; the defaults are those of the API's page. */
export const TRAINING_CONFIG = z.object(
  {
    model_name: oneOf(BACKBONE_NAMES).default('vit_base_patch16_224').describe('The model to start from.'),
    image_size: wholeNumber(32, 1_024)
      .default(DEFAULT_IMAGE_SIDE)
      .describe('Pixels of a side that the model sees. A file that fixes another size keeps its own.'),
    strategy: oneOf(STRATEGIES)
      .default('auto')
      .describe('Which weights learn. auto: head_then_full on a GPU, head without one.'),
    lora_rank: wholeNumber(1, 256).default(8).describe('For lora: rank of the updates.'),
    last_k: wholeNumber(1, 1_000).default(4).describe('For last_k: how many layers learn, besides the head.'),
    layer_decay: positiveUpToOne()
      .default(0.75)
      .describe("For full: a layer's learning rate as a share of that of the layer above it."),
    epochs: wholeNumber(1, MAX_EPOCHS).default(10).describe('Passes over the training images at most.'),
    time_budget_seconds: realNumber(1)
      .optional()
      .describe('Training ends when so much time has passed; what was learnt by then is measured and kept.'),
    batch_size: wholeNumber(1, MAX_BATCH_SIZE).default(32).describe('Images in a step.'),
    gradient_accumulation: wholeNumber(1, 1_024)
      .default(1)
      .describe('Batches whose gradients are one update together.'),
    learning_rate: positiveUpToOne().default(1e-4).describe('The highest learning rate.'),
    weight_decay: realNumber(0, 1).default(0.01).describe('Of weights, not of biases and norms.'),
    optimizer: oneOf(['adamw', 'adam', 'sgd'])
      .default('adamw')
      .describe('What turns gradients into updates.'),
    scheduler: oneOf(SCHEDULERS).default('cosine_warmup').describe('How the learning rate goes.'),
    warmup_epochs: realNumber(0, MAX_EPOCHS)
      .default(2)
      .describe('Epochs in which the learning rate rises; at most a third of all of them.'),
    gradient_clip: realNumber(0).default(1).describe('Gradients are scaled down to this norm; 0: never.'),
    loss: oneOf(LOSSES).default('label_smoothing').describe('What is minimised.'),
    loss_smoothing: share()
      .default(0.1)
      .describe('For label_smoothing: share of a label given to all classes.'),
    focal_gamma: realNumber(0, 10).default(2).describe('For focal: how little easy images count.'),
    augmentation: oneOf(PRESETS).default('medium').describe('How much training images are changed.'),
    use_mixup: yesOrNo()
      .default(false)
      .describe('True: images of a batch are mixed, and so are their labels.'),
    mixup_alpha: realNumber(0, 10).default(0.8).describe('Of the blend of two images; 0: never blended.'),
    cutmix_alpha: realNumber(0, 10).default(1).describe('Of the patch put into another image; 0: never.'),
    use_ema: yesOrNo().default(true).describe('True: a moving average of the weights is what is evaluated.'),
    ema_decay: share().default(0.9999).describe('Of that average; lower in the first steps.'),
    early_stopping: yesOrNo().default(true).describe('True: training ends when it gets no better.'),
    early_stopping_metric: oneOf(STOP_METRICS)
      .default('val_accuracy')
      .describe('What better means; the best epoch by it is the one whose weights are kept.'),
    patience: wholeNumber(1, MAX_EPOCHS).default(5).describe('Epochs without a better one before it ends.'),
    use_class_weights: yesOrNo()
      .default(false)
      .describe('True: rare classes count more. Always so where the data is imbalanced above 3:1.'),
    balanced_sampling: yesOrNo()
      .optional()
      .describe('Are rare classes shown more often? Absent: where the data is imbalanced above 3:1.'),
    drop_rate: share()
      .default(0.1)
      .describe('Share of the features dropped in front of the head in training.'),
    train_split: part()
      .default(0.8)
      .describe('Share of the images to train with, of those whose split is not assigned.'),
    seed: wholeNumber(0, MAX_SEED).default(42).describe('Of everything that is drawn at random.'),
    export_onnx: yesOrNo()
      .default(true)
      .describe('False: onnx_url stays empty. The model is an ONNX file in any case.'),
    keep_cache: yesOrNo()
      .default(false)
      .describe('True: the decoded images stay on the disk when the run has ended.'),
    num_workers: LEGACY_WORKERS,
    ...LOADING_FIELDS,
    use_amp: withoutMeaning(WITHOUT_MEANING.use_amp),
    drop_path_rate: withoutMeaning(WITHOUT_MEANING.drop_path_rate),
  },
  { error: 'expected an object' },
);
export type TrainingConfig = z.infer<typeof TRAINING_CONFIG>;
