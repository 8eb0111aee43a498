import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { isOutOfMemory, runBatches, type BatchState } from '../../src/model/run-batches.ts';

const ROW_BYTES = 3;

/** A model whose vector is the row's bytes, and that has room for `room` rows. */
function small(room: number) {
  const sizes: number[] = [];
  const halved: number[] = [];
  const run = (pixels: Uint8Array, batchSize: number): Promise<Float32Array> => {
    expect(pixels.length).toBe(batchSize * ROW_BYTES);
    if (batchSize > room)
      return Promise.reject(new Error('Failed to allocate memory for requested buffer of size 1024'));
    sizes.push(batchSize);
    return Promise.resolve(Float32Array.from(pixels));
  };
  const embed = (pixels: Uint8Array, count: number, state: BatchState): Promise<Float32Array> =>
    runBatches({ pixels, count, rowBytes: ROW_BYTES, state, run, onHalved: (size) => halved.push(size) });
  return { embed, sizes, halved };
}

const rows = (count: number): Uint8Array => Uint8Array.from({ length: count * ROW_BYTES }, (_, i) => i % 251);

test('every row once and in order, in runs of one size, whatever count, batch and memory', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(40),
      fc.integer({ min: 1, max: 17 }),
      fc.integer({ min: 1, max: 17 }),
      async (count, batchSize, room) => {
        const model = small(room);
        const state = { batchSize, minBatchSize: 1 };
        const vectors = await model.embed(rows(count), count, state);
        expect(vectors).toEqual(Float32Array.from(rows(count)));
        expect(model.sizes.every((size) => size === state.batchSize)).toBe(true);
        if (count > 0) expect(state.batchSize).toBeLessThanOrEqual(room);
      },
    ),
  );
});

describe('out of memory', () => {
  test('halves, says so once each time, and stays there', async () => {
    const model = small(3);
    const state = { batchSize: 16, minBatchSize: 1 };
    await model.embed(rows(20), 20, state);
    expect(model.halved).toEqual([8, 4, 2]);
    await model.embed(rows(20), 20, state);
    expect(model.halved).toEqual([8, 4, 2]);
  });

  test('at a batch of one it is an error', async () => {
    const state = { batchSize: 4, minBatchSize: 1 };
    await expect(small(0).embed(rows(4), 4, state)).rejects.toMatchObject({ code: 'out_of_memory' });
  });

  test('a batch that the file fixes is not halved', async () => {
    const model = small(2);
    await expect(model.embed(rows(4), 4, { batchSize: 4, minBatchSize: 4 })).rejects.toMatchObject({
      code: 'out_of_memory',
    });
    expect(model.halved).toEqual([]);
  });

  test.each([
    'Non-zero status code returned while running Expand node. Failed to allocate memory for requested buffer of size 68719476736',
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; expr=cudaMalloc((void**)&p, size);',
    'CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED',
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED',
    'Available memory of 1048576 is smaller than requested bytes of 4194304',
    'std::bad_alloc',
  ])('is told by %s', (message) => {
    expect(isOutOfMemory(new Error(message))).toBe(true);
  });

  test.each([
    'Got invalid dimensions for input: pixels',
    'CUDA failure 700: an illegal memory access was encountered',
  ])('is not told by %s', (message) => {
    expect(isOutOfMemory(new Error(message))).toBe(false);
  });
});

test('other errors come through at once', async () => {
  const state = { batchSize: 4, minBatchSize: 1 };
  const wrong = runBatches({
    pixels: rows(4),
    count: 4,
    rowBytes: ROW_BYTES,
    state,
    run: () => Promise.reject(new Error('Invalid dimensions')),
    onHalved: () => undefined,
  });
  await expect(wrong).rejects.toThrow('Invalid dimensions');
  expect(state.batchSize).toBe(4);
});

test('a vector with values that are no numbers comes back as it is, and alone', async () => {
  const vectors = await runBatches({
    pixels: rows(3),
    count: 3,
    rowBytes: ROW_BYTES,
    state: { batchSize: 2, minBatchSize: 1 },
    run: (pixels) => Promise.resolve(Float32Array.from(pixels, (v) => (v === 3 ? NaN : v))),
    onHalved: () => undefined,
  });
  expect(vectors).toEqual(Float32Array.of(0, 1, 2, NaN, 4, 5, 6, 7, 8));
});
