import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';

import { meanColour, nearestColour } from '../../src/demo/mean-colour.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { createShelf, type Shelf } from '../../src/local/shelf/shelf.ts';
import { createStudio } from '../../src/local/shelf/studio.ts';
import type { EmbeddingModel } from '../../src/model/embedding-model.ts';
import { loadEmbeddingModel } from '../../src/model/load.ts';
import { buildDemoDescriptor, DEMO_DIM, demoPreprocessing } from '../../src/model/small/demo-descriptor.ts';
import { CPU, randomPixels, rowsOf } from './support.ts';

const SIDE = 96;

let model: EmbeddingModel;
beforeAll(async () => {
  model = await loadEmbeddingModel({ modelType: 'demo', batchSize: 8, ...CPU });
});
afterAll(() => model.close());

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, i) => sum + v * (b[i] ?? 0), 0);

async function embedAll(pictures: readonly Uint8Array[]): Promise<number[][]> {
  const rows: number[][] = [];
  for (let i = 0; i < pictures.length; i += model.batchSize) {
    const batch = pictures.slice(i, i + model.batchSize);
    rows.push(...rowsOf(await model.embed(Buffer.concat(batch), batch.length), DEMO_DIM));
  }
  return rows;
}

/** The five families of a seed (25 products) and five others; up to three cutouts of each. */
async function look(shelf: Shelf) {
  const studio = createStudio(shelf);
  const products = shelf.products.slice(0, 30);
  const decode = async (bytes: Uint8Array | null) =>
    decodeImage(bytes ?? new Uint8Array(), demoPreprocessing);
  const fronts = await Promise.all(products.map(async (p) => decode(await studio.renderFrame(p, 0))));
  const cutouts = products.flatMap((product) =>
    shelf.cutouts
      .filter((c) => c.productId === product.id)
      .slice(0, 3)
      .map((cutout) => ({ product, cutout })),
  );
  const crops = await Promise.all(
    cutouts.map(async ({ cutout }) => decode(await studio.renderCutout(cutout))),
  );
  return { products, fronts, crops, truth: cutouts.map(({ product }) => product) };
}

describe('on shelves that it was not made on', () => {
  test.each([101, 202])('finds the product of a cutout among first frames, seed %i', async (seed) => {
    const { products, fronts, crops, truth } = await look(createShelf({ seed }));
    const [known, asked] = [await embedAll(fronts), await embedAll(crops)];
    const colours = fronts.map(meanColour);
    const right = truth.map((product, i) => {
      const scores = known.map((vector) => dot(vector, asked[i] ?? []));
      const best = products[scores.indexOf(Math.max(...scores))];
      const byColour = products[nearestColour(meanColour(crops[i] ?? new Uint8Array()), colours)];
      return { family: product.family !== null, found: best === product, control: byColour === product };
    });
    const share = (list: readonly boolean[]) => list.filter(Boolean).length / list.length;
    const families = right.filter((r) => r.family);
    expect(right.length).toBeGreaterThanOrEqual(60);
    expect(share(right.map((r) => r.found))).toBeGreaterThanOrEqual(0.9);
    expect(share(families.map((r) => r.found))).toBeGreaterThanOrEqual(
      share(families.map((r) => r.control)) + 0.2,
    );
  });
});

describe('the descriptor', () => {
  test('gives 620 numbers of length 1, the same for the same pixels', async () => {
    const pixels = randomPixels(2, 3, SIDE);
    const rows = rowsOf(await model.embed(pixels, 2), DEMO_DIM);
    const again = rowsOf(await model.embed(pixels, 2), DEMO_DIM);
    expect(DEMO_DIM).toBe(620);
    expect(rows).toEqual(again);
    for (const row of rows) expect(dot(row, row)).toBeCloseTo(1, 5);
  });

  test.each([0, 128, 255])('stays finite on a picture that is all %i', async (value) => {
    const [row = []] = rowsOf(await model.embed(new Uint8Array(SIDE * SIDE * 3).fill(value), 1), DEMO_DIM);
    expect(row.every(Number.isFinite)).toBe(true);
    expect(dot(row, row)).toBeCloseTo(1, 4);
  });

  test('hardly minds less light, and minds another print more', async () => {
    const shelf = createShelf({ seed: 101 });
    const studio = createStudio(shelf);
    const [one, two] = shelf.products;
    if (one === undefined || two === undefined) throw new Error('an empty shelf');
    const pixels = await Promise.all(
      [one, two].map(async (p) => decodeImage(await studio.renderFrame(p, 0), demoPreprocessing)),
    );
    const dark = pixels[0]?.map((v) => v * 0.7) ?? new Uint8Array();
    const [mine = [], other = [], dimmed = []] = await embedAll([...pixels, dark]);
    expect(dot(mine, dimmed)).toBeGreaterThan(0.95);
    expect(dot(mine, other)).toBeLessThan(dot(mine, dimmed) - 0.05);
  });

  test('looks at the product, not at the empty margin of a packshot', async () => {
    const shelf = createShelf({ seed: 101 });
    const product = shelf.products[26];
    if (product === undefined) throw new Error('an empty shelf');
    const { data, width, height } = createStudio(shelf).drawFrame(product, 0);
    const framed = async (margin: number) => {
      const wide = width + 2 * margin;
      const tall = height + 2 * margin;
      const canvas = new Uint8Array(wide * tall * 3).fill(246);
      for (let y = 0; y < height; y++) {
        canvas.set(data.subarray(y * width * 3, (y + 1) * width * 3), ((y + margin) * wide + margin) * 3);
      }
      return stretched(canvas, wide, tall);
    };
    const [tight = [], loose = []] = await embedAll([await framed(0), await framed(24)]);
    expect(dot(tight, loose)).toBeGreaterThan(0.9);
  });

  test('is made of ordinary operators only', () => {
    const { graph, opsetImports } = buildDemoDescriptor();
    expect(opsetImports).toEqual([{ domain: '', version: 17 }]);
    expect(graph.nodes.filter((node) => (node.domain ?? '') !== '')).toEqual([]);
  });
});

/** Through PNG and the decoder, as a picture from anywhere would come. */
async function stretched(pixels: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  return decodeImage(png, demoPreprocessing);
}
