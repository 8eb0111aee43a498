import { appendFile, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import type { Raster } from '../../../src/image/resample.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { openFrames } from './support.ts';

const picture = (value: number, width = 4, height = 3): Raster => ({
  data: new Uint8Array(width * height * 3).fill(value),
  width,
  height,
});
const BYTES = 36;

test('what was added is there when the file is opened again', async () => {
  await using folder = await temporaryFolder();
  {
    await using frames = await openFrames(folder.path);
    await Promise.all([1, 2, 3].map((i) => frames.add(`u${i}`, picture(i), `c${i}`)));
  }
  await using frames = await openFrames(folder.path);
  expect(frames.bytes).toBe(3 * BYTES);
  for (const i of [1, 2, 3]) {
    const frame = frames.get(`u${i}`);
    expect(frame).toMatchObject({ width: 4, height: 3, content: `c${i}` });
    expect(frame && (await frames.read(frame))).toEqual(picture(i));
  }
  expect(frames.get('u4')).toBeUndefined();
});

test('the same content is written once, under each of its names', async () => {
  await using folder = await temporaryFolder();
  await using frames = await openFrames(folder.path);
  const first = await frames.add('a', picture(1), 'same');
  expect(await frames.add('b', picture(1), 'same')).toEqual(first);
  expect(frames.get('b')).toEqual(first);
  expect((await stat(frames.path)).size).toBe(BYTES);
});

test('what a killed writer left half done is written over', async () => {
  await using folder = await temporaryFolder();
  {
    await using frames = await openFrames(folder.path);
    await frames.add('whole', picture(1), 'c1');
  }
  await appendFile(join(folder.path, 'pictures.bin'), new Uint8Array(100).fill(9));
  await appendFile(join(folder.path, 'pictures.jsonl'), '{"key":"torn","offset":36,"wid');
  {
    await using frames = await openFrames(folder.path);
    expect(frames.bytes).toBe(BYTES);
    const next = await frames.add('next', picture(2), 'c2');
    expect(next.offset).toBe(BYTES);
  }
  await using frames = await openFrames(folder.path);
  const [whole, next] = [frames.get('whole'), frames.get('next')];
  expect(whole && (await frames.read(whole))).toEqual(picture(1));
  expect(next && (await frames.read(next))).toEqual(picture(2));
  expect((await readFile(join(folder.path, 'pictures.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(3);
});

test('an entry whose bytes are missing is none', async () => {
  await using folder = await temporaryFolder();
  {
    await using frames = await openFrames(folder.path);
    await frames.add('a', picture(1), 'c1');
    await frames.add('b', picture(2), 'c2');
  }
  await truncate(join(folder.path, 'pictures.bin'), BYTES + 5);
  await using frames = await openFrames(folder.path);
  expect(frames.get('a')).toBeDefined();
  expect(frames.get('b')).toBeUndefined();
});

test('pictures of another decoding are not used again', async () => {
  await using folder = await temporaryFolder();
  {
    await using frames = await openFrames(folder.path);
    await frames.add('a', picture(1), 'c1');
  }
  await using frames = await openFrames(folder.path, { decoding: 'another' });
  expect(frames.get('a')).toBeUndefined();
  expect(frames.bytes).toBe(0);
});

test('the beginning of the file is held in memory as far as it goes, also after opening it again', async () => {
  await using folder = await temporaryFolder();
  {
    await using frames = await openFrames(folder.path, { memoryBytes: BYTES + 10 });
    await frames.add('a', picture(1), 'c1');
    await frames.add('b', picture(2), 'c2');
    expect([...frames.memory]).toEqual([
      ...new Array<number>(BYTES).fill(1),
      ...new Array<number>(10).fill(2),
    ]);
  }
  await using frames = await openFrames(folder.path, { memoryBytes: 40 });
  expect([...frames.memory.subarray(34)]).toEqual([1, 1, 2, 2, 2, 2]);
});
