import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, expect, test } from '@jest/globals';
import sharp from 'sharp';

import { HandlerError } from '../../src/base/errors.ts';
import { createHttp } from '../../src/http/http.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { createImageSource } from '../../src/image/source.ts';
import { startImageServer } from '../../src/local/images.ts';
import { createShelf, type Shelf } from '../../src/local/shelf/shelf.ts';
import { storageObjects, writeShelf } from '../../src/local/shelf/write-shelf.ts';
import { demoPreprocessing } from '../../src/model/small/demo-descriptor.ts';

const folders: string[] = [];
const emptyFolder = async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'shelf-test-'));
  folders.push(folder);
  return folder;
};
afterAll(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
});

/** A shelf with two products on it, one photographed often and augmented, and every broken file. */
function smallShelf(seed: number): Shelf {
  const shelf = createShelf({ seed });
  const kept = new Set([35, 36].map((index) => shelf.products[index]?.id));
  return {
    ...shelf,
    planogram: [35, 36],
    cutouts: shelf.cutouts.filter(
      (c) => c.defect !== null || (kept.has(c.productId ?? '') && c.externalId % 4 === 0),
    ),
    images: shelf.images.filter((image) => kept.has(image.productId)),
  };
}

async function contents(folder: string): Promise<Map<string, string>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const read = files.sort().map(async (file) => {
    return [path.relative(folder, file), (await readFile(file)).toString('base64')] as const;
  });
  return new Map(await Promise.all(read));
}

test('a folder is drawn once; the same seed gives the same bytes, another seed replaces them', async () => {
  const shelf = smallShelf(5);
  const [one, two] = [await emptyFolder(), await emptyFolder()];
  const steps: number[] = [];
  const total = 24 + shelf.images.length + shelf.cutouts.length;
  expect(await writeShelf(shelf, one, { onProgress: ({ done }) => steps.push(done) })).toBe(true);
  expect(steps).toEqual(Array.from({ length: total }, (_, i) => i + 1));
  const first = await contents(one);
  expect(first.size).toBe(total); // one file is missing by design, one is the marker

  const again: number[] = [];
  expect(await writeShelf(shelf, one, { onProgress: ({ done }) => again.push(done) })).toBe(false);
  expect(again).toEqual([]);

  await writeShelf(shelf, two);
  expect(await contents(two)).toEqual(first);

  expect(await writeShelf(smallShelf(6), two)).toBe(true);
  const other = await contents(two);
  expect([...other.keys()].filter((name) => first.has(name))).toEqual(['shelf.json']);
});

test('drawing stops when it is told to, and a folder left unfinished is drawn anew', async () => {
  const shelf = smallShelf(5);
  const folder = await emptyFolder();
  const stop = new AbortController();
  const reason = new Error('enough');
  const drawn: number[] = [];
  const stopped = writeShelf(shelf, folder, {
    signal: stop.signal,
    onProgress: ({ done }) => {
      drawn.push(done);
      if (done === 3) stop.abort(reason);
    },
  });
  await expect(stopped).rejects.toBe(reason);
  expect(drawn.length).toBeLessThan(10);
  expect(await writeShelf(shelf, folder)).toBe(true);
});

test('a job meets each broken file as what it is, and the good ones as pictures', async () => {
  const shelf = smallShelf(5);
  const folder = await emptyFolder();
  await writeShelf(shelf, folder);
  await using server = await startImageServer({ folder });
  await using http = createHttp({ allowPrivateHosts: true });
  const source = createImageSource({ http });
  const outcome = async (file: string): Promise<string> => {
    try {
      const { bytes } = await source.read(`${server.url}/${file}`);
      return String((await decodeImage(bytes, demoPreprocessing)).length);
    } catch (error) {
      return error instanceof HandlerError ? error.code : 'unexpected';
    }
  };
  const found = new Map(
    await Promise.all(shelf.cutouts.map(async (c) => [c.id, await outcome(c.file)] as const)),
  );
  const expected = {
    missing: 'http_404',
    truncated: 'truncated',
    page: 'not_an_image',
    empty: 'empty',
    wrong_type: 'unsupported_type',
  };
  for (const cutout of shelf.cutouts) {
    const pixels = String(96 * 96 * 3);
    expect([cutout.defect, found.get(cutout.id)]).toEqual([
      cutout.defect,
      cutout.defect === null ? pixels : expected[cutout.defect],
    ]);
  }
});

test('frames are PNG, cutouts and other pictures JPEG, and what belongs into storage lies there as a file', async () => {
  const shelf = smallShelf(5);
  const folder = await emptyFolder();
  await writeShelf(shelf, folder);
  const format = async (file: string) =>
    (await sharp(await readFile(path.join(folder, file))).metadata()).format;
  const product = shelf.products[35];
  const good = shelf.cutouts.find((c) => c.defect === null);
  expect(await format(`frames/${product?.id ?? ''}/frame_0011.png`)).toBe('png');
  expect(await format(good?.file ?? '')).toBe('jpeg');
  const stored = storageObjects(shelf, folder);
  expect(stored.length).toBe(shelf.images.filter((image) => image.inStorage).length);
  expect(stored.length).toBeGreaterThan(0);
  for (const object of stored) {
    expect((await stat(object.file)).size).toBeGreaterThan(1000);
    expect(shelf.images.map((image) => image.file)).toContain(object.path);
  }
});
