import { describe, expect, test } from '@jest/globals';

import { chooseStages, type StageSizes } from '../../src/embedding/stage-sizes.ts';

const GIB = 2 ** 30;
const MIB = 2 ** 20;

const numbers = ({ downloads, decoders, writes, decodeBytes }: StageSizes): number[] => [
  downloads.value,
  decoders.value,
  writes.value,
  decodeBytes.value / MIB,
];

describe('downloads, decoders, writes, MiB of pictures', () => {
  test.each([
    ['one core', 1, 16 * GIB, [32, 1, 3, 1024]],
    ['two cores', 2, 16 * GIB, [32, 2, 3, 1024]],
    ['eight cores are fed by more downloads', 8, 16 * GIB, [128, 8, 3, 1024]],
    ['64 cores, but no host sees more than it may', 64, 256 * GIB, [128, 64, 3, 1024]],
    ['little memory', 2, 512 * MIB, [16, 2, 3, 128]],
    ['hardly any', 2, 100 * MIB, [3, 2, 3, 64]],
    ['none to speak of', 2, MIB, [1, 2, 3, 64]],
    ['a system that does not say', 2, undefined, [32, 2, 3, 1024]],
  ])('%s', (_, cores, freeMemoryBytes, expected) => {
    expect(numbers(chooseStages({ cores, freeMemoryBytes }, {}))).toEqual(expected);
  });
});

test('what is set is taken, and each number says where it comes from', () => {
  const machine = { cores: 8, freeMemoryBytes: 2 * GIB };
  expect(chooseStages(machine, {})).toEqual({
    downloads: { value: 64, from: 'memory' },
    decoders: { value: 8, from: 'cores' },
    writes: { value: 3, from: 'default' },
    decodeBytes: { value: 512 * MIB, from: 'memory' },
  });
  const set = { DOWNLOAD_CONCURRENCY: 200, DECODE_CONCURRENCY: 2, WRITE_CONCURRENCY: 1 };
  expect(chooseStages(machine, set)).toMatchObject({
    downloads: { value: 200, from: 'set' },
    decoders: { value: 2, from: 'set' },
    writes: { value: 1, from: 'set' },
  });
});
