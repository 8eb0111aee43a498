import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { plainView } from '../../../src/classification/augment/augment.ts';
import { RECIPES } from '../../../src/classification/augment/recipe.ts';
import { PRESETS, type AugmentationPreset } from '../../../src/classification/input-config.ts';
import { pixelCourse, type PixelCourseOptions } from '../../../src/classification/train/pixel-course.ts';
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

const EVEN = { sampling: 0, classWeights: new Float32Array(CLASSES).fill(1), told: '' };

/** The batches of one epoch of nine pictures of three classes. */
async function epochOf(
  preset: AugmentationPreset,
  taken = 0,
  { mix = null, balance = EVEN }: Partial<Pick<PixelCourseOptions, 'mix' | 'balance'>> = {},
) {
  await using made = await openTestLoader(images, { name: 'course', count: 9 });
  // Of the third class there is one.
  const train = made.samples.map((one, i) => ({ ...one, label: i === 8 ? 2 : i % 2 }));
  const course = pixelCourse({
    trainer: { evaluate: () => Promise.reject(new TypeError('nothing is evaluated')) },
    loader: made.loader,
    splits: { train, val: [], test: [] },
    classes: CLASSES,
    size: SIZE,
    recipe: RECIPES[preset],
    mix,
    balance,
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

test.each([{}, { mix: { mixupAlpha: 1, cutmixAlpha: 1 } }, { balance: { ...EVEN, sampling: 1 } }])(
  'an epoch that goes on in its middle has the pictures and labels that it would have had: %j',
  async (options) => {
    const whole = await epochOf('heavy', 0, options);
    expect(await epochOf('heavy', 4, options)).toEqual(whole.slice(1));
  },
);

test('where pictures are mixed, so are their labels and their weights', async () => {
  const plain = await epochOf('none');
  const balance = { ...EVEN, classWeights: Float32Array.of(1, 2, 4) };
  const mixed = await epochOf('none', 0, { mix: { mixupAlpha: 1, cutmixAlpha: 0 }, balance });
  const targets = mixed.flatMap((batch) => batch.targets);
  expect(targets.some((share) => share > 0 && share < 1)).toBe(true);
  const weights = mixed.flatMap((batch) => batch.weights);
  for (const [row, weight] of weights.entries()) {
    const [a = 0, b = 0, c = 0] = targets.slice(row * CLASSES, (row + 1) * CLASSES);
    expect(a + b + c).toBeCloseTo(1, 5);
    expect(weight).toBeCloseTo(a + 2 * b + 4 * c, 5);
  }
  expect(mixed[0]?.inputs).not.toEqual(plain[0]?.inputs);
});

test('a rare class is shown as often as the others where that is asked for', async () => {
  const batches = await epochOf('none', 0, { balance: { ...EVEN, sampling: 1 } });
  const counts = [0, 0, 0];
  for (const [i, share] of batches.flatMap(({ targets }) => targets).entries())
    counts[i % CLASSES] = (counts[i % CLASSES] ?? 0) + share;
  // To one: which of a class' pictures is shown twice is drawn.
  for (const count of counts) expect(Math.abs(count - 3)).toBeLessThanOrEqual(1);
});

test('a split is measured by what its pictures are when they are used, whatever training changes', async () => {
  await using made = await openTestLoader(images, { name: 'held', count: 5 });
  const { samples, set, loader } = made;
  const seen: { pixels: Buffer; weights: unknown }[] = [];
  const course = pixelCourse({
    trainer: {
      evaluate: (inputs, count, options) => {
        seen.push({ pixels: Buffer.from(Uint8Array.from(inputs)), weights: options?.weights });
        return Promise.resolve(new Float32Array(count * CLASSES));
      },
    },
    loader,
    splits: { train: [], val: samples.slice(0, 3), test: samples.slice(3) },
    classes: CLASSES,
    size: SIZE,
    recipe: RECIPES.sota,
    mix: { mixupAlpha: 1, cutmixAlpha: 1 },
    balance: EVEN,
    batchSize: 3,
    seed: 1,
    signal: NEVER,
  });
  const found = [await course.predict('val'), await course.predict('test', 'best')];
  expect(found.map((split) => split.samples)).toEqual([samples.slice(0, 3), samples.slice(3)]);
  const viewsOf = async (some: typeof samples): Promise<Buffer> => {
    const frames = some.flatMap((one) => set.pictures.frameOf(one) ?? []);
    const pictures = await Promise.all(frames.map((frame) => set.frames.read(frame)));
    return Buffer.concat(pictures.map((picture) => plainView(picture, SIZE)));
  };
  expect(seen).toEqual([
    { pixels: await viewsOf(samples.slice(0, 3)), weights: undefined },
    { pixels: await viewsOf(samples.slice(3)), weights: 'best' },
  ]);
});
