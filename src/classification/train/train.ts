import { SILENT_LOG } from '../../base/log.ts';
import type { ExecutionProvider } from '../../base/settings.ts';
import { outputSize } from '../../image/preprocessing.ts';
import { isGpu } from '../../model/providers.ts';
import type { HeadWeights, Trainer } from '../../training/trainer.ts';
import { RECIPES } from '../augment/recipe.ts';
import { classificationMetrics } from '../metrics/metrics.ts';
import type { Groundwork } from './checkpoints.ts';
import type { Course } from './course.ts';
import { freshState, runEpochs } from './epochs.ts';
import { featureCourse } from './feature-course.ts';
import { pixelCourse } from './pixel-course.ts';
import { baselinesOf, probe, type Probe } from './probe.ts';
import { runMain, type TrainedRun, type TrainOptions } from './run-main.ts';
import { blendAlphaOf, HEAD_RATE_FACTOR, planOf, scheduleOf, type Plan } from './specs.ts';
import { mainTrainerOptions, trainerOptions } from './trainer-options.ts';

/** Epochs of the head that all weights begin from. */
const HEAD_EPOCHS = 20;
/** Views of an image that a head learns from: a fourth part of the epochs' variety for a fourth of their cost. */
const HEAD_VIEWS = 4;
/** Images whose features are made where they are for the baselines and the first head alone. */
const MOST_PROBED = 20_000;

/**
 * From a backbone to a trained classifier, as the job's strategy says. A run that goes on takes up what its checkpoint
 * says; its numbers are those of a run that was not interrupted.
 */
export async function trainClassifier(options: TrainOptions): Promise<TrainedRun> {
  const { resumed } = options;
  if (resumed !== undefined && resumed.groundwork.plan !== 'head') {
    return trainOnPixels(options, resumed.groundwork);
  }
  const { config, loader, splits, signal } = options;
  const found = await probe({
    trainer: trainerOptions(options, 'head'),
    createTrainer: options.createTrainer,
    loader,
    splits,
    recipe: RECIPES[config.augmentation],
    seed: config.seed,
    extent: (provider) =>
      planFor(options, provider) === 'head'
        ? {
            images: Infinity,
            views: config.augmentation === 'none' ? 1 : Math.min(HEAD_VIEWS, config.epochs),
            test: true,
          }
        : { images: MOST_PROBED, views: 1, test: false },
    onProgress: options.news.onFeatures,
    signal,
  });
  const groundwork: Groundwork = resumed?.groundwork ?? {
    plan: planFor(options, found.provider),
    baselines: await firstResult(options, found),
    headAccuracy: null,
    statistics: found.statistics,
  };
  if (groundwork.plan === 'head') return trainHead(options, groundwork, found);
  if (groundwork.plan !== 'head_then_full') return trainOnPixels(options, groundwork);
  const { head, accuracy } = await firstHead(options, found);
  return trainOnPixels(options, { ...groundwork, headAccuracy: accuracy }, head);
}

async function firstResult(
  { data, news, log, signal }: TrainOptions,
  found: Probe,
): Promise<Groundwork['baselines']> {
  const baselines = await baselinesOf(found, { classes: data.classNames.length, log, signal });
  if (baselines !== null) news.onBaselines(baselines);
  return baselines;
}

function planFor({ config, backbone }: TrainOptions, provider: string): Plan {
  const hasGpu = isGpu(provider as ExecutionProvider);
  return planOf(config, { hasGpu, isTrainable: backbone.isTrainable });
}

async function trainHead(options: TrainOptions, groundwork: Groundwork, found: Probe): Promise<TrainedRun> {
  const { config } = options;
  const withHead = mainTrainerOptions(options, groundwork);
  return runMain(options, {
    trainerOptions: withHead,
    groundwork,
    rate: Math.min(1, config.learning_rate * HEAD_RATE_FACTOR),
    courseOf: (trainer) => featureCourseOf(options, found, trainer, withHead.batchSize),
  });
}

function featureCourseOf(options: TrainOptions, found: Probe, trainer: Trainer, batchSize: number): Course {
  const { config, data, balance, signal } = options;
  return featureCourse({
    trainer,
    ...found,
    classes: data.classNames.length,
    mixupAlpha: blendAlphaOf(config),
    balance,
    batchSize,
    seed: config.seed,
    signal,
  });
}

/** A head on frozen features, from which all weights then begin: they are not torn about by one that knows nothing. */
async function firstHead(
  options: TrainOptions,
  found: Probe,
): Promise<{ head: HeadWeights; accuracy: number }> {
  const { config, data, log, signal } = options;
  const classes = data.classNames.length;
  const withHead = { ...trainerOptions(options, 'head'), featureStatistics: found.statistics };
  await using trainer = await options.createTrainer(withHead);
  const course = featureCourseOf(options, found, trainer, withHead.batchSize);
  const rate = Math.min(1, config.learning_rate * HEAD_RATE_FACTOR);
  await runEpochs({
    trainer,
    course,
    schedule: scheduleOf({ config, rate, epochs: HEAD_EPOCHS, steps: course.steps }),
    config,
    epochs: HEAD_EPOCHS,
    classes,
    state: freshState(),
    onStep: () => undefined,
    onEpoch: () => undefined,
    onRest: () => Promise.resolve(),
    log: SILENT_LOG,
    signal,
  });
  const { samples, logits } = await course.predict('val', 'best');
  const { accuracy } = classificationMetrics({ logits, labels: samples.map(({ label }) => label), classes });
  log.info(`[Baseline] A head on frozen features: ${accuracy.toFixed(2)}%`);
  return { head: await trainer.head('best'), accuracy };
}

function trainOnPixels(
  options: TrainOptions,
  groundwork: Groundwork,
  head?: HeadWeights,
): Promise<TrainedRun> {
  const { config, backbone, loader, splits, data, balance, signal } = options;
  const withStart = { ...mainTrainerOptions(options, groundwork), ...(head && { head }) };
  return runMain(options, {
    trainerOptions: withStart,
    groundwork,
    rate: config.learning_rate,
    courseOf: (trainer) =>
      pixelCourse({
        trainer,
        loader,
        splits,
        classes: data.classNames.length,
        size: outputSize(backbone.preprocessing),
        recipe: RECIPES[config.augmentation],
        mix: config.use_mixup ? { mixupAlpha: config.mixup_alpha, cutmixAlpha: config.cutmix_alpha } : null,
        balance,
        batchSize: withStart.batchSize,
        seed: config.seed,
        signal,
      }),
  });
}
