import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { plainView, randomView } from '../../../src/classification/augment/augment.ts';
import { mixPictures, type MixPlan } from '../../../src/classification/augment/mix.ts';
import { RECIPES } from '../../../src/classification/augment/recipe.ts';
import type { Sample } from '../../../src/classification/sample.ts';
import type { BatchesOptions, Loader } from '../../../src/classification/pictures/loader.ts';
import { createPool } from '../../../src/classification/pictures/pool.ts';
import { testImages, type TestImages } from '../../support/images.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { openTestLoader, SIZE, testPictures, type TestLoader, type TestLoaderOptions } from './support.ts';

const BYTES = 40 * 40 * 3;

let images: TestImages;

beforeAll(async () => {
  images = await testImages();
});

afterAll(async () => {
  await images[Symbol.asyncDispose]();
});

const testLoader = (name: string, count: number, options: TestLoaderOptions = {}): Promise<TestLoader> =>
  openTestLoader(images, { name, count, ...options });

async function pixelsOf(
  loader: Loader,
  options: BatchesOptions,
): Promise<{ ids: string[]; pixels: Buffer }[]> {
  const out = [];
  for await (const { samples, pixels } of loader.batches(options)) {
    out.push({ ids: samples.map(({ id }) => id), pixels: Buffer.from(Uint8Array.from(pixels)) });
  }
  return out;
}

test('batches come in order, the last one smaller, each picture as the model sees it', async () => {
  await using made = await testLoader('plain', 5);
  const { loader, samples, set } = made;
  const got = await pixelsOf(loader, { samples, batchSize: 2, random: null });
  expect(got.map(({ ids }) => ids)).toEqual([['plain 0', 'plain 1'], ['plain 2', 'plain 3'], ['plain 4']]);
  for (const [i, one] of samples.entries()) {
    const frame = set.pictures.frameOf(one);
    const view = frame && plainView(await set.frames.read(frame), SIZE);
    const at = i % 2;
    expect(got[i >> 1]?.pixels.subarray(at * BYTES, (at + 1) * BYTES)).toEqual(Buffer.from(view ?? []));
  }
});

test.each([
  ['from the disk', 0],
  ['from memory', 1e6],
  ['from both', 3 * 48 * 48 * 3 + 100],
])('random views are those of their keys, whichever thread makes them, read %s', async (_, memoryBytes) => {
  await using made = await testLoader('random', 5, { threads: 3, memoryBytes });
  const { loader, samples, set } = made;
  const keys = ({ id }: Sample): string[] => ['seed', 'epoch 3', id];
  const random = { recipe: RECIPES.heavy, keys, mix: () => null };
  const got = await pixelsOf(loader, { samples, batchSize: 5, random });
  for (const [i, one] of samples.entries()) {
    const frame = set.pictures.frameOf(one);
    const view =
      frame &&
      randomView(await set.frames.read(frame), { size: SIZE, recipe: RECIPES.heavy, keys: keys(one) });
    expect(got[0]?.pixels.subarray(i * BYTES, (i + 1) * BYTES)).toEqual(Buffer.from(view ?? []));
  }
});

test('a mixed batch is the mixture of its pictures', async () => {
  await using made = await testLoader('mixed', 3);
  const { loader, samples } = made;
  const plan: MixPlan = { kind: 'mixup', share: 0.3 };
  const [plain] = await pixelsOf(loader, { samples, batchSize: 3, random: null });
  const random = { recipe: {}, keys: () => [], mix: () => plan };
  const [mixed] = await pixelsOf(loader, { samples, batchSize: 3, random });
  const expected = Uint8Array.from(plain?.pixels ?? []);
  mixPictures(expected, 3, SIZE, plan);
  expect(mixed?.pixels).toEqual(Buffer.from(expected));
  expect(mixed?.pixels).not.toEqual(plain?.pixels);
});

test('a picture that cannot be had is left out of its batch, and an empty batch is none', async () => {
  await using made = await testLoader('broken', 5);
  const { loader, samples } = made;
  for (const i of [1, 4]) images.misbehave(`/cutouts/broken ${i}/1.jpg`, { status: 404 });
  const got = await pixelsOf(loader, { samples, batchSize: 2, random: null });
  expect(got.map(({ ids }) => ids)).toEqual([['broken 0'], ['broken 2', 'broken 3']]);
  expect(got[0]?.pixels).toHaveLength(BYTES);
});

describe('the next batch', () => {
  test.each([
    ['than asked', { prefetch: 1 }],
    ['than there is memory for', { prefetch: 64, maxAheadBytes: 1.5 * BYTES }],
  ])('is fetched while one is used, and no further ahead %s', async (what, options) => {
    await using made = await testLoader(`ahead ${what}`, 8, options);
    const { loader, samples } = made;
    const stream = loader.batches({ samples, batchSize: 1, random: null });
    await stream.next();
    const requested = (): number =>
      samples.filter(({ id }) => images.requests.has(`/cutouts/${id}/1.jpg`)).length;
    while (requested() < 3) await new Promise(setImmediate);
    for (let i = 0; i < 50; i += 1) await new Promise(setImmediate);
    expect(requested()).toBeLessThanOrEqual(4);
    await stream.return(undefined);
  });

  test('counts as late where the reader had to wait for it', async () => {
    await using made = await testLoader('late', 4, { prefetch: 1 });
    const { loader, samples } = made;
    await made.set.pictures.load(samples.slice(0, 1));
    const open = images.hold();
    const stream = loader.batches({ samples, batchSize: 1, random: null });
    await stream.next();
    const next = stream.next();
    await images.waiting(1);
    // Longer than handing over a batch ever counts for.
    await new Promise((resolve) => setTimeout(resolve, 20));
    open();
    await next;
    expect(loader.statistics).toMatchObject({ batches: 1, late: 1 });
    expect(loader.statistics.waitedMs).toBeGreaterThanOrEqual(15);
    await stream.return(undefined);
  });
});

test('a thread that dies fails what waits for it', async () => {
  await using folder = await temporaryFolder();
  await using set = await testPictures({ folder: folder.path });
  await using pool = createPool({ threads: 1, path: `${set.frames.path}.gone`, memory: set.frames.memory });
  const pixels = new Uint8Array(new SharedArrayBuffer(BYTES));
  await expect(pool.run({ type: 'views', pixels, size: SIZE, recipe: {}, views: [] })).rejects.toMatchObject({
    code: 'picture_thread_stopped',
  });
});
