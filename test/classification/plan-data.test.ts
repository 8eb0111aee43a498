import { describe, expect, test } from '@jest/globals';

import { HttpError, ImageError, type HandlerError } from '../../src/base/errors.ts';
import type { Sample, Split } from '../../src/classification/sample.ts';
import { planData, type DataPlan } from '../../src/classification/plan-data.ts';
import { noneLeftOut } from '../../src/classification/sample.ts';
import { sample } from './support.ts';

interface Given extends Partial<Sample> {
  /** The file behind its address; by default one of its own. */
  content?: string;
  error?: HandlerError;
}

function plan(given: readonly Given[], options: { seed?: number; trainShare?: number } = {}): DataPlan {
  const { seed = 42, trainShare = 0.8 } = options;
  const samples = given.map(({ content: _, error: __, ...part }, i) =>
    sample({ url: `u${i}`, id: `i${i}`, ...part }),
  );
  const of = new Map(samples.map((s, i) => [s, given[i]]));
  return planData({
    dataset: { name: 'dataset shelf', classNames: ['a', 'b', 'c'], samples, leftOut: noneLeftOut() },
    pictures: {
      failureOf: (s) => of.get(s)?.error,
      frameOf: (s) => ({ offset: 0, width: 1, height: 1, content: of.get(s)?.content ?? s.id }),
    },
    seed,
    trainShare,
  });
}

const images = (count: number, part: Given): Given[] => Array.from({ length: count }, () => part);
const idsOf = ({ splits }: DataPlan, split: Split): string[] => splits[split].map(({ id }) => id).sort();

describe('the split', () => {
  test('is drawn class by class in the share asked for, at least one to each side', () => {
    const { report } = plan([
      ...images(50, { label: 0 }),
      ...images(10, { label: 1 }),
      ...images(2, { label: 2 }),
    ]);
    expect(report.classes).toEqual([
      { name: 'a', train: 40, val: 10, test: 0 },
      { name: 'b', train: 8, val: 2, test: 0 },
      { name: 'c', train: 1, val: 1, test: 0 },
    ]);
  });

  test('is the same for the same seed, and another for another', () => {
    const given = [...images(30, { label: 0 }), ...images(30, { label: 1 })];
    expect(idsOf(plan(given), 'val')).toEqual(idsOf(plan(given), 'val'));
    expect(idsOf(plan(given), 'val')).not.toEqual(idsOf(plan(given, { seed: 43 }), 'val'));
  });

  test('hardly moves when a picture cannot be had', () => {
    const given = [...images(30, { label: 0 }), ...images(30, { label: 1 })];
    const broken = given.map((g, i) => (i === 7 ? { ...g, error: new HttpError('http_404', 'gone') } : g));
    const [before, after] = [idsOf(plan(given), 'val'), new Set(idsOf(plan(broken), 'val'))];
    expect(before.filter((id) => !after.has(id)).length).toBeLessThanOrEqual(1);
    expect(Math.abs(after.size - before.length)).toBeLessThanOrEqual(1);
  });

  test('is as assigned, and only the others are drawn', () => {
    const assigned = plan([
      ...images(3, { label: 0, assigned: 'train' }),
      ...images(2, { label: 0, assigned: 'val' }),
      ...images(1, { label: 0, assigned: 'test' }),
      ...images(10, { label: 1 }),
    ]);
    expect(assigned.report.classes).toMatchObject([
      { train: 3, val: 2, test: 1 },
      { train: 8, val: 2, test: 0 },
      { train: 0 },
    ]);
    expect(idsOf(assigned, 'test')).toEqual(['i5']);
  });

  test('takes from training what validation lacks, and says so', () => {
    const { report } = plan([
      ...images(10, { label: 0, assigned: 'train' }),
      ...images(10, { label: 1, assigned: 'train' }),
    ]);
    expect(report.splits).toEqual({ train: 16, val: 4, test: 0 });
    expect(report.warnings).toContain(
      'no image is assigned to validation: a part of those assigned to training was taken for it',
    );
  });

  test('keeps images of one file on one side', () => {
    const given = [...images(40, { label: 0 }), ...images(40, { label: 1 })].map((g, i) => ({
      ...g,
      content: `file ${Math.floor(i / 4)}`,
    }));
    const { splits } = plan(given);
    const files = (split: Split): Set<string> =>
      new Set(splits[split].map(({ id }) => given[Number(id.slice(1))]?.content ?? ''));
    expect([...files('train')].filter((file) => files('val').has(file))).toEqual([]);
    expect(splits.val.length).toBe(16);
  });
});

describe('the same file in training and in validation or test', () => {
  const clean = [
    ...images(3, { label: 0, assigned: 'train' }),
    ...images(2, { label: 0, assigned: 'val' }),
    ...images(3, { label: 1, assigned: 'train' }),
    ...images(2, { label: 1, assigned: 'val' }),
  ];

  test('is left out of training; out of validation where it is in test', () => {
    const { report, splits } = plan([
      ...clean,
      { id: 'leak', label: 0, assigned: 'train', content: 'x' },
      { label: 0, assigned: 'val', content: 'x' },
      { id: 'seen', label: 1, assigned: 'val', content: 'y' },
      { label: 1, assigned: 'test', content: 'y' },
    ]);
    expect(report.leaked).toEqual({ images: 2, first: ['seen', 'leak'], kept: 0 });
    expect([...splits.train, ...splits.val].map(({ id }) => id)).not.toEqual(
      expect.arrayContaining(['leak']),
    );
    expect(report.splits).toEqual({ train: 6, val: 5, test: 1 });
    expect(report.warnings).toContain(
      '2 images were left out where they stand, as validation or test shows the same files',
    );
  });

  test('also where it stands in another class there', () => {
    const { report } = plan([
      ...clean,
      { label: 1, assigned: 'train', content: 'x' },
      { label: 0, assigned: 'val', content: 'x' },
    ]);
    expect(report.leaked.images).toBe(1);
    expect(report.contradicting.images).toBe(2);
  });

  test('stays where a class would have nothing else to train with, with a warning', () => {
    const { report } = plan([
      ...clean,
      { label: 2, assigned: 'train', content: 'x' },
      { label: 2, assigned: 'val', content: 'x' },
    ]);
    expect(report.leaked).toEqual({ images: 0, first: [], kept: 1 });
    expect(report.classes[2]).toEqual({ name: 'c', train: 1, val: 1, test: 0 });
    expect(report.warnings.join()).toMatch(/1 images are both in training and in validation or test/);
  });
});

test('what failed is told by code, broken addresses apart from files that are no pictures', () => {
  const { report } = plan([
    ...images(20, { label: 0 }),
    ...images(20, { label: 1 }),
    {
      label: 0,
      error: new HttpError('http_404', 'gone'),
      url: 'https://u:p@images.example.invalid/x?token=abc',
    },
    { label: 0, error: new HttpError('http_404', 'gone') },
    { label: 1, error: new HttpError('timeout', 'late') },
    { label: 1, error: new ImageError('corrupt', 'torn') },
  ]);
  expect(report.broken).toMatchObject({ images: 3, by_code: { http_404: 2, timeout: 1 } });
  expect(report.broken.first[0]).toMatchObject({
    id: 'i40',
    url: 'https://[redacted]@images.example.invalid/x?[redacted]',
    code: 'http_404',
  });
  expect(report.undecodable).toMatchObject({ images: 1, by_code: { corrupt: 1 }, first: [{ id: 'i43' }] });
  expect(report.warnings.slice(0, 2)).toEqual([
    '3 images could not be fetched (http_404: 2, timeout: 1)',
    '1 files are no pictures that can be read (corrupt: 1)',
  ]);
  expect(report.images).toBe(44);
});

test('doubled files, few images, no image and imbalance are told', () => {
  const { report } = plan([
    ...images(60, { label: 0, assigned: 'train' }),
    ...images(3, { label: 1, assigned: 'train' }),
    ...images(2, { label: 1, assigned: 'train', content: 'same' }),
    ...images(4, { label: 0, assigned: 'val' }),
  ]);
  expect(report.imbalance).toBe(12);
  expect(report.small_classes).toEqual(['b', 'c']);
  expect(report.duplicates).toEqual({ images: 1, first: [['i63', 'i64']] });
  expect(report.warnings).toEqual([
    'c has no image to train with and cannot be learnt',
    'few images to train with: b (5); from 10 on is better',
    'the largest class has 12.0 times the images of the smallest',
    '1 images show the same file as another image of their class',
  ]);
});

describe('too little data', () => {
  test('one class alone', () => {
    expect(() => plan(images(10, { label: 1 }))).toThrow(
      'too little data in dataset shelf: images to train with are there of one class alone (b), and at least two are needed',
    );
  });

  test('nothing to validate with', () => {
    expect(() => plan([{ label: 0 }, { label: 1 }])).toThrow(
      'too little data in dataset shelf: there is no image to validate with: a class needs two images, or some must be assigned to validation',
    );
  });

  test('as pictures could not be had: which, and why', () => {
    const gone = { label: 0, error: new HttpError('http_404', 'gone') };
    expect(() => plan([...images(5, gone), ...images(10, { label: 1 })])).toThrow(
      'one class alone (b), and at least two are needed; of 15 labelled images 5 could not be had: 5 images could not be fetched (http_404: 5)',
    );
    expect(() => plan(images(5, gone))).toThrow(expect.objectContaining({ code: 'too_little_data' }));
  });
});
