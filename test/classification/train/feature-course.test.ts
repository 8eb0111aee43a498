import { expect, test } from '@jest/globals';

import { balanceOf, type Balance } from '../../../src/classification/balance.ts';
import {
  featureCourse,
  type FeatureCourseOptions,
} from '../../../src/classification/train/feature-course.ts';
import type { FeatureSet } from '../../../src/classification/train/features.ts';
import { NEVER, sample } from '../support.ts';

/** Twelve images of one class and three of another. */
const LABELS = [...new Array<number>(12).fill(0), ...new Array<number>(3).fill(1)];
const CLASSES = 2;

/** Features that say the class and, behind it, the view. */
const viewOf = (view: number): FeatureSet => ({
  samples: LABELS.map((label) => sample({ url: 'x', label })),
  features: Float32Array.from(LABELS.flatMap((label) => [1 - label, label, view])),
});
const EVEN = { sampling: 0, classWeights: new Float32Array(CLASSES).fill(1), told: '' };

function courseOf(options: Partial<FeatureCourseOptions> = {}) {
  return featureCourse({
    trainer: { evaluate: () => Promise.reject(new TypeError('nothing is evaluated')) },
    views: [viewOf(0), viewOf(1)],
    held: { val: viewOf(7), test: viewOf(8) },
    length: 3,
    classes: CLASSES,
    mixupAlpha: 0,
    balance: EVEN,
    batchSize: 4,
    seed: 1,
    signal: NEVER,
    ...options,
  });
}

async function epochOf(course: ReturnType<typeof courseOf>, epoch: number, taken = 0) {
  const batches = [];
  for await (const { inputs, targets, weights, taken: soFar } of course.batches(epoch, taken)) {
    batches.push({ inputs: [...inputs], targets: [...targets], weights: [...weights], soFar });
  }
  return batches;
}

/** Of each row, what its features say of the class, and what its target says. */
const told = (batches: Awaited<ReturnType<typeof epochOf>>) => ({
  features: batches.flatMap(({ inputs }) => inputs.filter((_, i) => i % 3 < CLASSES)),
  targets: batches.flatMap(({ targets }) => targets),
  views: batches.flatMap(({ inputs }) => inputs.filter((_, i) => i % 3 === CLASSES)),
});

test('an epoch has each image once, of one view; the next epoch has the next view', async () => {
  const course = courseOf();
  expect(course.steps).toBe(4);
  for (const epoch of [0, 1, 2]) {
    const batches = await epochOf(course, epoch);
    expect(batches.map(({ soFar }) => soFar)).toEqual([4, 8, 12, 15]);
    const { features, targets, views } = told(batches);
    expect(features).toEqual(targets);
    expect(targets.filter((_, i) => i % CLASSES === 1).reduce((a, b) => a + b, 0)).toBe(3);
    expect(views).toEqual(LABELS.map(() => epoch % 2));
  }
});

test('features are blended as their targets are', async () => {
  const { features, targets } = told(await epochOf(courseOf({ mixupAlpha: 1 }), 0));
  expect(features.some((value) => value > 0 && value < 1)).toBe(true);
  for (const [i, value] of features.entries()) expect(value).toBeCloseTo(targets[i] ?? NaN, 5);
});

test.each([{}, { mixupAlpha: 0.8 }])(
  'an epoch that goes on in its middle has what it would have had: %j',
  async (options) => {
    const whole = await epochOf(courseOf(options), 3);
    expect(await epochOf(courseOf(options), 3, 8)).toEqual(whole.slice(2));
  },
);

test('rare classes are shown more often and weigh more, as the balance says', async () => {
  const sizes = [12, 3].map((train) => ({ name: '', train, val: 1, test: 0 }));
  const shown = async (balance: Balance) => {
    const batches = await epochOf(courseOf({ balance }), 0);
    const rare = told(batches).targets.filter((_, i) => i % CLASSES === 1);
    return {
      rare: rare.reduce((a, b) => a + b, 0),
      weights: batches.flatMap(({ weights }) => weights),
      is: rare,
    };
  };
  const often = await shown(balanceOf(sizes, { use_class_weights: false, balanced_sampling: true }));
  // Half of the way: by the root, one in three.
  expect(often.rare).toBe(5);
  const heavy = await shown(balanceOf(sizes, { use_class_weights: true, balanced_sampling: false }));
  expect(heavy.rare).toBe(3);
  expect(heavy.weights).toEqual(heavy.is.map((is) => (is === 1 ? 2.5 : 0.625)));
});

test('a split is measured by its own plain view, with the weights asked for', async () => {
  const asked: unknown[] = [];
  const course = courseOf({
    trainer: {
      evaluate: (inputs, count, options) => {
        asked.push([inputs[2], count, options?.weights]);
        return Promise.resolve(new Float32Array(count * CLASSES));
      },
    },
  });
  expect((await course.predict('val')).samples).toHaveLength(15);
  await course.predict('test', 'best');
  expect(asked).toEqual([
    [7, 15, undefined],
    [8, 15, 'best'],
  ]);
});
