import type { HandlerError } from '../base/errors.ts';
import { redact } from '../base/redact.ts';
import type { LeftOut, Sample, Split } from './sample.ts';

/** What was found in a dataset before training, and what was done about it. */
export interface DataReport {
  /** Labelled images. */
  images: number;
  /** Those of them that take part. */
  splits: Record<Split, number>;
  classes: ClassCount[];
  /** Images of the largest class for each of the smallest, among the images to train with. */
  imbalance: number;
  /** Could not be fetched. */
  broken: FailedImages;
  /** Were fetched, and are no pictures that can be read. */
  undecodable: FailedImages;
  /** Images that show the same file as another one of their class. */
  duplicates: { images: number; first: string[][] };
  /** Files that stand in several classes. */
  contradicting: { images: number; first: string[][] };
  /** Left out of training (or validation), as they are in validation or test too. */
  leaked: { images: number; first: string[]; kept: number };
  /** Classes with few images to train with, or none. */
  small_classes: string[];
  left_out_labels: LeftOut;
  /** The same in words: what a person should know before trusting the result. */
  warnings: string[];
}

export interface ClassCount extends Record<Split, number> {
  name: string;
}

interface FailedImages {
  images: number;
  by_code: Record<string, number>;
  first: { id: string; url: string; code: string; message: string }[];
}

/** Images that the report names of each kind; the others are counted. */
export const NAMED = 20;
/** A class with fewer is told of: it can hardly be learnt, and hardly be measured. */
export const FEW_IMAGES = 10;
/** Of the largest class to the smallest: from here on classes are balanced. */
export const IMBALANCED = 3;
const URL_CHARS = 300;

/** Codes of pictures whose bytes arrived. */
const UNDECODABLE = new Set([
  'empty',
  'not_an_image',
  'unsupported_type',
  'too_many_pixels',
  'truncated',
  'corrupt',
  'decode_timeout',
]);

export function failedImages(
  failed: readonly { sample: Sample; error: HandlerError }[],
): Pick<DataReport, 'broken' | 'undecodable'> {
  const of = (some: typeof failed): FailedImages => {
    const by_code: Record<string, number> = {};
    for (const { error } of some) by_code[error.code] = (by_code[error.code] ?? 0) + 1;
    const first = some.slice(0, NAMED).map(({ sample, error }) => ({
      id: sample.id,
      url: redact(sample.url).slice(0, URL_CHARS),
      code: error.code,
      message: error.message,
    }));
    return { images: some.length, by_code, first };
  };
  return {
    broken: of(failed.filter(({ error }) => !UNDECODABLE.has(error.code))),
    undecodable: of(failed.filter(({ error }) => UNDECODABLE.has(error.code))),
  };
}

export function countClasses(
  classNames: readonly string[],
  splits: Readonly<Record<Split, readonly Sample[]>>,
): ClassCount[] {
  const counts = classNames.map((name): ClassCount => ({ name, train: 0, val: 0, test: 0 }));
  for (const split of ['train', 'val', 'test'] as const) {
    for (const { label } of splits[split]) {
      const count = counts[label];
      if (count !== undefined) count[split] += 1;
    }
  }
  return counts;
}

/** Classes without an image do not count: they are told of apart. */
export function imbalanceOf(classes: readonly ClassCount[]): number {
  const sizes = classes.map(({ train }) => train).filter((count) => count > 0);
  return sizes.length === 0 ? 1 : Math.max(...sizes) / Math.min(...sizes);
}

/** The report with the images that could not be had after it was made, as it happens without preloading. */
export function withFailures(
  report: DataReport,
  failed: readonly { sample: Sample; error: HandlerError }[],
): DataReport {
  const found = failedImages(failed);
  const others = report.warnings.filter((text) => !failureWarnings(report).includes(text));
  return { ...report, ...found, warnings: [...failureWarnings(found), ...others] };
}

function failureWarnings({ broken, undecodable }: Pick<DataReport, 'broken' | 'undecodable'>): string[] {
  return [
    ...(broken.images > 0 ? [`${broken.images} images could not be fetched (${codes(broken)})`] : []),
    ...(undecodable.images > 0
      ? [`${undecodable.images} files are no pictures that can be read (${codes(undecodable)})`]
      : []),
  ];
}

/** What a person should know, in the order of how much it matters. */
export function warningsOf(report: Omit<DataReport, 'warnings'>, tookFromTraining: boolean): string[] {
  const { duplicates, contradicting, leaked, left_out_labels: left } = report;
  const empty = report.classes.filter(({ train }) => train === 0).map(({ name }) => name);
  const few = report.classes.filter(({ train }) => train > 0 && train < FEW_IMAGES);
  const warnings: [boolean, string][] = [
    [
      empty.length > 0,
      `${listed(empty)} ${empty.length === 1 ? 'has' : 'have'} no image to train with and cannot be learnt`,
    ],
    [
      few.length > 0,
      `few images to train with: ${listed(few.map(({ name, train }) => `${name} (${train})`))}; from ${FEW_IMAGES} on is better`,
    ],
    [
      report.imbalance > IMBALANCED,
      `the largest class has ${report.imbalance.toFixed(1)} times the images of the smallest`,
    ],
    [
      leaked.images > 0,
      `${leaked.images} images were left out where they stand, as validation or test shows the same files`,
    ],
    [
      leaked.kept > 0,
      `${leaked.kept} images are both in training and in validation or test: without them a class would have none, so its figures are too good`,
    ],
    [contradicting.images > 0, `${contradicting.images} images show files that also stand in another class`],
    [duplicates.images > 0, `${duplicates.images} images show the same file as another image of their class`],
    [
      left.contradicting > 0,
      `${left.contradicting} images carry labels of several classes and were left out`,
    ],
    [left.inactive_class > 0, `${left.inactive_class} labels are of classes that are not active`],
    [
      tookFromTraining,
      'no image is assigned to validation: a part of those assigned to training was taken for it',
    ],
  ];
  return [...failureWarnings(report), ...warnings.filter(([holds]) => holds).map(([, text]) => text)];
}

function codes({ by_code }: FailedImages): string {
  return Object.entries(by_code)
    .sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1))
    .map(([code, count]) => `${code}: ${count}`)
    .join(', ');
}

const LISTED = 5;

function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return names.slice(0, LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
