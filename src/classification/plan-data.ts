import { HandlerError } from '../base/errors.ts';
import {
  countClasses,
  failedImages,
  FEW_IMAGES,
  imbalanceOf,
  NAMED,
  warningsOf,
  type DataReport,
} from './data-report.ts';
import type { Dataset, Sample, Split } from './sample.ts';
import type { Pictures } from './pictures/pictures.ts';
import { divide, type SplitOptions } from './split.ts';

export type Splits = Record<Split, Sample[]>;

export interface DataPlan {
  splits: Splits;
  report: DataReport;
}

export interface PlanDataOptions extends Omit<SplitOptions, 'keyOf'> {
  dataset: Dataset;
  pictures: Pick<Pictures, 'frameOf' | 'failureOf'>;
}

/**
 * Which images train, validate and test, now that it is known which of them can be had; and what was found on the way.
 * Of a file that is in several splits, the images in the less guarded one are left out (training before validation
 * before test), unless a class would have none left there.
 * @throws HandlerError `too_little_data`, which says what is missing
 */
export function planData({ dataset, pictures, ...options }: PlanDataOptions): DataPlan {
  const failed = failuresOf(dataset, pictures);
  const usable = dataset.samples.filter((sample) => pictures.failureOf(sample) === undefined);
  // By content where it is known already, else by address.
  const keyOf = (sample: Sample): string => pictures.frameOf(sample)?.content ?? sample.url;
  const { splits: divided, tookFromTraining } = divide(usable, { ...options, keyOf });
  const { splits, leaked } = withoutLeaks(usable, divided, keyOf);
  const classes = countClasses(dataset.classNames, splits);
  const found = {
    images: dataset.samples.length,
    splits: { train: splits.train.length, val: splits.val.length, test: splits.test.length },
    classes,
    imbalance: imbalanceOf(classes),
    ...failedImages(failed),
    ...repeated(usable, keyOf),
    leaked,
    small_classes: classes.filter(({ train }) => train < FEW_IMAGES).map(({ name }) => name),
    left_out_labels: dataset.leftOut,
  };
  const report = { ...found, warnings: warningsOf(found, tookFromTraining) };
  refuseTooLittle(dataset, report);
  return { splits, report };
}

/** The images that could not be had so far, and why. */
export function failuresOf(
  { samples }: Pick<Dataset, 'samples'>,
  pictures: Pick<Pictures, 'failureOf'>,
): { sample: Sample; error: HandlerError }[] {
  return samples.flatMap((sample) => {
    const error = pictures.failureOf(sample);
    return error === undefined ? [] : [{ sample, error }];
  });
}

/** The more guarded ones first. */
const GUARDED = ['test', 'val', 'train'] as const;

function withoutLeaks(
  samples: readonly Sample[],
  divided: ReadonlyMap<Sample, Split>,
  keyOf: (sample: Sample) => string,
): { splits: Splits; leaked: DataReport['leaked'] } {
  const splits: Splits = { train: [], val: [], test: [] };
  const leaked: DataReport['leaked'] = { images: 0, first: [], kept: 0 };
  const guarded = new Set<string>();
  for (const split of GUARDED) {
    const here = samples.filter((sample) => divided.get(sample) === split);
    const leaks = new Set(here.filter((sample) => guarded.has(keyOf(sample))));
    for (const ofClass of Map.groupBy(here, ({ label }) => label).values()) {
      const clean = ofClass.filter((sample) => !leaks.has(sample));
      const stay = clean.length > 0 ? clean : ofClass;
      splits[split].push(...stay);
      if (clean.length === 0) leaked.kept += ofClass.length;
      else {
        const out = ofClass.filter((sample) => leaks.has(sample));
        leaked.images += out.length;
        leaked.first.push(...out.slice(0, NAMED - leaked.first.length).map(({ id }) => id));
      }
    }
    for (const sample of here) guarded.add(keyOf(sample));
  }
  return { splits, leaked };
}

function repeated(
  samples: readonly Sample[],
  keyOf: (sample: Sample) => string,
): Pick<DataReport, 'duplicates' | 'contradicting'> {
  const duplicates = { images: 0, first: [] as string[][] };
  const contradicting = { images: 0, first: [] as string[][] };
  for (const group of Map.groupBy(samples, keyOf).values()) {
    if (group.length < 2) continue;
    const ids = group.map(({ id }) => id);
    const labels = new Set(group.map(({ label }) => label));
    const kind = labels.size > 1 ? contradicting : duplicates;
    kind.images += labels.size > 1 ? group.length : group.length - 1;
    if (kind.first.length < NAMED) kind.first.push(ids);
  }
  return { duplicates, contradicting };
}

function refuseTooLittle({ name }: Dataset, report: DataReport): void {
  const learnable = report.classes.filter(({ train }) => train > 0);
  const missing =
    learnable.length < 2
      ? `images to train with are there of ${learnable.length === 0 ? 'no class' : `one class alone (${learnable.map((c) => c.name).join('')})`}, and at least two are needed`
      : report.splits.val === 0
        ? 'there is no image to validate with: a class needs two images, or some must be assigned to validation'
        : undefined;
  if (missing === undefined) return;
  const lost = report.broken.images + report.undecodable.images;
  const why =
    lost === 0
      ? ''
      : `; of ${report.images} labelled images ${lost} could not be had: ${report.warnings.slice(0, 2).join('; ')}`;
  throw new HandlerError('too_little_data', `too little data in ${name}: ${missing}${why}`);
}
