import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { readCheckpoint, writeCheckpoint, type Checkpoint } from '../../src/training/checkpoint.ts';

const CONFIGURATION = 'a'.repeat(64);
const sample = (step = 3): Checkpoint => ({
  trainer: {
    configuration: CONFIGURATION,
    step,
    microBatch: 8,
    random: [42],
    vectors: {
      'parameters/0': Float32Array.from({ length: 1001 }, (_, i) => Math.sin(i) * step),
      // Names that are numbers must not change places.
      '7': Float32Array.of(1, -0, NaN, Infinity, 1e-45),
      empty: new Float32Array(0),
    },
  },
  sampler: { epoch: 2, taken: 96 },
  rest: { best: 0.5, 'sha256":"': 'é' },
});

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'checkpoint-'));
  path = join(folder, 'run.safetensors');
});
afterEach(() => rm(folder, { recursive: true }));

test('comes back bit for bit, and nothing else is left in the folder', async () => {
  await writeCheckpoint(path, sample(1));
  await writeCheckpoint(path, sample(2));
  const found = await readCheckpoint(path, CONFIGURATION);
  expect(found).toEqual(sample(2));
  expect(Object.is(found.trainer.vectors['7']?.[1], -0)).toBe(true);
  expect(await readdir(folder)).toEqual(['run.safetensors']);
});

test('is a safetensors file: the offsets in the header lead to the values', async () => {
  await writeCheckpoint(path, sample());
  const bytes = await readFile(path);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  expect(length % 8).toBe(0);
  for (const [name, vector] of Object.entries(sample().trainer.vectors)) {
    const { dtype, shape, data_offsets } = header[name] ?? { dtype: '', shape: [], data_offsets: [0, 0] };
    expect({ dtype, shape }).toEqual({ dtype: 'F32', shape: [vector.length] });
    const data = bytes.subarray(8 + length + data_offsets[0], 8 + length + data_offsets[1]);
    expect(new Uint8Array(data)).toEqual(new Uint8Array(vector.buffer));
  }
});

describe('refused by name', () => {
  test('a file that is not there', async () => {
    await expect(readCheckpoint(path)).rejects.toMatchObject({ code: 'checkpoint_missing' });
  });

  test('another configuration, before anything else is looked at', async () => {
    await writeCheckpoint(path, sample());
    await expect(readCheckpoint(path, 'b'.repeat(64))).rejects.toMatchObject({ code: 'checkpoint_mismatch' });
  });

  test('cut off anywhere', async () => {
    await writeCheckpoint(path, sample());
    const whole = await readFile(path);
    for (const size of [0, 4, 8, 100, whole.length - 4000, whole.length - 1]) {
      await writeFile(path, whole);
      await truncate(path, size);
      await expect(readCheckpoint(path)).rejects.toMatchObject({ code: 'checkpoint_truncated' });
    }
  });

  test('one bit that is not as it was written, in the header, the state or a vector; a byte too many', async () => {
    await writeCheckpoint(path, sample());
    const whole = await readFile(path);
    const stepAt = whole.indexOf('\\"step\\":3') + '\\"step\\":'.length;
    for (const at of [
      stepAt,
      whole.indexOf('"F32"') + 1,
      whole.indexOf('shape') + 1,
      whole.length - 30,
      whole.length - 1,
    ]) {
      const broken = Buffer.from(whole);
      broken[at] = (broken[at] ?? 0) ^ 1;
      await writeFile(path, broken);
      await expect(readCheckpoint(path)).rejects.toMatchObject({ code: 'checkpoint_damaged' });
    }
    await writeFile(path, Buffer.concat([whole, Buffer.alloc(1)]));
    await expect(readCheckpoint(path)).rejects.toMatchObject({ code: 'checkpoint_damaged' });
  });

  test('what is no checkpoint', async () => {
    await writeFile(path, Buffer.alloc(64, 'x'));
    await expect(readCheckpoint(path)).rejects.toMatchObject({ code: 'checkpoint_damaged' });
  });

  test('a folder that cannot be written to', async () => {
    const nowhere = join(folder, 'absent', 'run.safetensors');
    await expect(writeCheckpoint(nowhere, sample())).rejects.toMatchObject({
      code: 'checkpoint_not_written',
    });
  });
});
