import { describe, expect, test } from '@jest/globals';
import { validate, version } from 'uuid';

import { meanColour } from '../../src/demo/mean-colour.ts';
import type { Picture } from '../../src/local/shelf/canvas.ts';
import { FRAME_COUNT } from '../../src/local/shelf/catalogue.ts';
import { seedRows, type SeedRow, SHELF_EMBEDDING_DIM } from '../../src/local/shelf/rows.ts';
import { createShelf, DEFECTS } from '../../src/local/shelf/shelf.ts';
import { createStudio } from '../../src/local/shelf/studio.ts';
import { DEMO_DIM } from '../../src/model/small/demo-descriptor.ts';

const shelf = createShelf({ seed: 11 });
const counts = (values: readonly (string | null)[]) => {
  const found = new Map<string | null, number>();
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1);
  return found;
};

describe('the data of a shelf', () => {
  test('60 products, 25 of them in families of five that share form, palette and brand', () => {
    expect(shelf.products).toHaveLength(60);
    const members = shelf.products.filter((p) => p.family !== null);
    expect(members).toHaveLength(25);
    for (const member of members) {
      const first = shelf.products.find((p) => p.family === member.family);
      expect(member.form).toEqual(first?.form);
      expect(member.palette).toEqual(first?.palette);
      expect(member.brand).toBe(first?.brand);
    }
    expect(new Set(members.map((p) => JSON.stringify([p.family, p.print]))).size).toBe(25);
    expect(new Set(shelf.products.map((p) => p.form.shape)).size).toBe(6);
  });

  test('576 cutouts that can be read, 40 of each of 12 products, and one broken file of each kind', () => {
    const good = shelf.cutouts.filter((c) => c.defect === null);
    expect(good).toHaveLength(576);
    const perProduct = [...counts(good.map((c) => c.productId)).values()].sort((a, b) => b - a);
    expect(perProduct).toEqual([...Array<number>(12).fill(40), ...Array<number>(48).fill(2)]);
    const broken = shelf.cutouts.filter((c) => c.defect !== null);
    expect(broken.map((c) => c.defect)).toEqual(DEFECTS);
    expect(broken.every((c) => c.productId === null && c.matchedProductId === null)).toBe(true);
  });

  test('some products have matched cutouts and some have none; a match is always the right product', () => {
    const matched = shelf.cutouts.filter((c) => c.matchedProductId !== null);
    expect(matched.every((c) => c.matchedProductId === c.productId)).toBe(true);
    const products = new Set(matched.map((c) => c.matchedProductId)).size;
    expect(products).toBeGreaterThanOrEqual(15);
    expect(products).toBeLessThanOrEqual(45);
  });

  test('ids are uuids of version 5, barcodes valid EAN-13, and nothing occurs twice', () => {
    const ids = [shelf.products, shelf.cutouts, shelf.images, shelf.datasets].flatMap((list) =>
      list.map((thing) => thing.id),
    );
    expect(ids.every((id) => validate(id) && version(id) === 5)).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(shelf.cutouts.map((c) => c.externalId)).size).toBe(shelf.cutouts.length);
    expect(new Set(shelf.products.map((p) => p.barcode)).size).toBe(60);
    for (const { barcode } of shelf.products) {
      expect(barcode).toMatch(/^\d{13}$/);
      const sum = Array.from(barcode).reduce((total, d, i) => total + Number(d) * (i % 2 === 0 ? 1 : 3), 0);
      expect(sum % 10).toBe(0);
    }
  });

  test('a seed is a shelf: the same one again, another one otherwise', () => {
    expect(createShelf({ seed: 11 })).toEqual(shelf);
    const other = createShelf({ seed: 12 });
    expect(other.products[0]?.id).not.toBe(shelf.products[0]?.id);
    expect(other.products.map((p) => p.palette)).not.toEqual(shelf.products.map((p) => p.palette));
  });
});

describe('rows for the database', () => {
  const rows = seedRows(shelf, 'http://127.0.0.1:9/');

  test('every reference is there, and each table has one set of columns', () => {
    const products = new Set(rows.products.map((row) => row.id));
    for (const row of [...rows.product_images, ...rows.dataset_products])
      expect(products).toContain(row.product_id);
    for (const list of Object.values(rows) as SeedRow[][]) {
      expect(list.length).toBeGreaterThan(0);
      for (const row of list) expect(Object.keys(row)).toEqual(Object.keys(list[0] ?? {}));
    }
    const sizes = counts(rows.dataset_products.map((row) => String(row.dataset_id)));
    expect([...sizes.values()]).toEqual([10, 25]);
  });

  test('frames have addresses below the image server, some real and augmented pictures have none', () => {
    const [product] = shelf.products;
    expect(rows.products[0]).toMatchObject({
      frames_path: `http://127.0.0.1:9/frames/${product?.id ?? ''}`,
      frame_count: FRAME_COUNT,
    });
    for (const type of ['real', 'augmented']) {
      const list = rows.product_images.filter((row) => row.image_type === type);
      const uncounted = list.filter((row) => row.frame_index === null).length;
      const stored = list.filter((row) => row.image_url === null).length;
      expect(uncounted).toBeGreaterThan(0);
      expect(uncounted).toBeLessThan(list.length);
      expect(stored).toBeGreaterThan(0);
      expect(stored).toBeLessThan(list.length / 2);
    }
  });

  test('the model row has the length of the demo model', () => {
    expect(SHELF_EMBEDDING_DIM).toBe(DEMO_DIM);
    expect(rows.embedding_models[0]).toMatchObject({ model_type: 'demo', embedding_dim: DEMO_DIM });
  });

  test('merchants differ, and predicted barcodes are there for some, mostly right', () => {
    const read = shelf.cutouts.filter((c) => c.predictedUpc !== null && c.productId !== null);
    const barcodes = new Map(shelf.products.map((p) => [p.id, p.barcode]));
    const right = read.filter((c) => barcodes.get(c.productId ?? '') === c.predictedUpc).length;
    expect(read.length).toBeGreaterThan(200);
    expect(read.length).toBeLessThan(500);
    expect(right / read.length).toBeGreaterThan(0.8);
    expect(right).toBeLessThan(read.length);
    expect(new Set(shelf.cutouts.map((c) => c.merchantId)).size).toBe(4);
  });
});

describe('pictures', () => {
  const studio = createStudio(shelf);
  const family = (n: number) => shelf.products.filter((p) => p.family === n);
  const bytesOf = ({ data }: Picture) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const meanOf = (picture: Picture) => meanColour(bytesOf(picture));
  /** By value, without what a matcher would print of a hundred thousand numbers. */
  const isSame = (a: Picture, b: Picture) =>
    a.width === b.width && Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
  const distance = (a: Picture, b: Picture) => {
    let sum = 0;
    for (let i = 0; i < a.data.length; i++) sum += Math.abs((a.data[i] ?? 0) - (b.data[i] ?? 0));
    return sum / a.data.length;
  };

  test('are the same from another studio, in whatever order they are drawn', () => {
    const [cutout] = shelf.cutouts;
    const product = shelf.products[30];
    if (cutout === undefined || product === undefined) throw new Error('an empty shelf');
    const [frame, photo] = [studio.drawFrame(product, 3), studio.drawCutout(cutout)];
    const there = createStudio(createShelf({ seed: 11 }));
    expect(there.drawCutout(cutout).jpegQuality).toBe(photo.jpegQuality);
    expect(isSame(there.drawCutout(cutout).picture, photo.picture)).toBe(true);
    expect(isSame(there.drawFrame(product, 3), frame)).toBe(true);
  });

  test('of another seed differ', () => {
    const other = createShelf({ seed: 12 });
    const [mine, theirs] = [shelf.products[40], other.products[40]];
    if (mine === undefined || theirs === undefined) throw new Error('an empty shelf');
    expect(isSame(createStudio(other).drawFrame(theirs, 0), studio.drawFrame(mine, 0))).toBe(false);
  });

  test('of one product all differ by frame, and all have one size', () => {
    const [product] = family(1);
    if (product === undefined) throw new Error('an empty family');
    const frames = Array.from({ length: FRAME_COUNT }, (_, i) => studio.drawFrame(product, i));
    expect(new Set(frames.map((frame) => `${String(frame.width)} x ${String(frame.height)}`)).size).toBe(1);
    for (const [i, a] of frames.entries()) {
      for (const b of frames.slice(0, i)) expect(distance(a, b)).toBeGreaterThan(1);
    }
  });

  test.each([0, 1, 2, 3, 4])('of family %i have one mean colour and different print', (n) => {
    const fronts = family(n).map((product) => studio.drawFrame(product, 0));
    for (const [i, a] of fronts.entries()) {
      for (const b of fronts.slice(0, i)) {
        const [one, two] = [meanOf(a), meanOf(b)];
        expect(Math.hypot(one[0] - two[0], one[1] - two[1], one[2] - two[2])).toBeLessThan(10);
        expect(distance(a, b)).toBeGreaterThan(2);
      }
    }
  });

  test('of a broken file cannot be drawn', () => {
    const broken = shelf.cutouts.find((c) => c.defect === 'missing');
    if (broken === undefined) throw new Error('no broken file');
    expect(() => studio.drawCutout(broken)).toThrow(RangeError);
  });
});
