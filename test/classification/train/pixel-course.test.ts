import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { RECIPES } from '../../../src/classification/augment/recipe.ts';
import { PRESETS, type AugmentationPreset } from '../../../src/classification/input-config.ts';
import { pixelCourse } from '../../../src/classification/train/pixel-course.ts';
import { testImages, type TestImages } from '../../support/images.ts';
import { NEVER } from '../support.ts';
import { openTestLoader, SIZE } from '../pictures/support.ts';

let images: TestImages;

beforeAll(async () => {
  images = await testImages();
});

afterAll(async () => {
  await images[Symbol.asyncDispose]();
});

const CLASSES = 3;

/** The batches of one epoch of nine pictures of three classes. */
async function epochOf(preset: AugmentationPreset, taken = 0) {
  await using made = await openTestLoader(images, { name: 'course', count: 9 });
  const train = made.samples.map((one, i) => ({ ...one, label: i % CLASSES }));
  const course = pixelCourse({
    trainer: { evaluate: () => Promise.reject(new TypeError('nothing is evaluated')) },
    loader: made.loader,
    splits: { train, val: [], test: [] },
    classes: CLASSES,
    size: SIZE,
    recipe: RECIPES[preset],
    mix: null,
    balance: { sampling: 0, classWeights: new Float32Array(CLASSES).fill(1), told: '' },
    batchSize: 4,
    seed: 1,
    signal: NEVER,
  });
  const batches = [];
  for await (const { inputs, targets, weights, taken: soFar } of course.batches(2, taken)) {
    batches.push({
      inputs: Buffer.from(inputs as Uint8Array),
      targets: [...targets],
      weights: [...weights],
      soFar,
    });
  }
  return batches;
}

const labelsOf = (batches: Awaited<ReturnType<typeof epochOf>>) =>
  batches.map(({ targets, weights, soFar }) => ({ targets, weights, soFar }));

test('augmentation changes pictures and never labels', async () => {
  const plain = await epochOf('none');
  expect(plain.map(({ soFar }) => soFar)).toEqual([4, 8, 9]);
  for (const preset of PRESETS.filter((name) => name !== 'none')) {
    const changed = await epochOf(preset);
    expect(labelsOf(changed)).toEqual(labelsOf(plain));
    for (const [i, { inputs }] of changed.entries()) expect(inputs).not.toEqual(plain[i]?.inputs);
  }
});

test('an epoch that goes on in its middle has the pictures and labels that it would have had', async () => {
  const whole = await epochOf('heavy');
  expect(await epochOf('heavy', 4)).toEqual(whole.slice(1));
});
