import { describe, expect, test } from '@jest/globals';

import type { ExecutionProvider } from '../../src/base/settings.ts';
import { chooseInference, type AskedSizes, type InferenceSizes } from '../../src/model/sizes.ts';

const GIB = 2 ** 30;
/** A small vision transformer's. */
const WEIGHTS = 88 * 2 ** 20;

interface Case {
  cores: number;
  memory?: number | undefined;
  provider?: ExecutionProvider;
  weights?: number;
  fixedBatch?: number;
}

function choose(
  { cores, memory = 64 * GIB, provider = 'cpu', weights = WEIGHTS, fixedBatch }: Case,
  asked?: AskedSizes,
): InferenceSizes {
  const machine = { cores, freeMemoryBytes: memory };
  return chooseInference({ machine, provider, weightBytes: weights, fixedBatch: fixedBatch ?? null }, asked);
}

const numbers = ({ sessions, threads, batchSize }: InferenceSizes): number[] => [
  sessions.value,
  threads.value,
  batchSize.value,
];

describe('sessions, threads of a run, images of a run', () => {
  test.each<[string, Case, number[]]>([
    ['one core', { cores: 1 }, [1, 1, 4]],
    ['two cores: one session each', { cores: 2 }, [2, 1, 4]],
    ['64 cores: runs get more threads once there are enough sessions', { cores: 64 }, [8, 8, 4]],
    [
      '64 cores and a GPU: one session, the cores are for decoding',
      { cores: 64, provider: 'cuda' },
      [1, 1, 64],
    ],
    ['a GPU of another kind', { cores: 4, provider: 'webgpu' }, [1, 1, 32]],
    ['two cores, memory for one copy of the weights', { cores: 2, memory: 1.2 * GIB }, [1, 2, 4]],
    ['hardly any memory: smaller batches too', { cores: 2, memory: 0.9 * GIB }, [1, 2, 2]],
    ['less memory than the weights take', { cores: 4, memory: 0.25 * GIB }, [1, 4, 1]],
    ['a large model', { cores: 8, memory: 24 * GIB, weights: 1.2 * GIB }, [2, 4, 4]],
  ])('%s', (_, machine, expected) => {
    expect(numbers(choose(machine))).toEqual(expected);
  });

  test('a system that says nothing of its memory has enough', () => {
    const machine = { cores: 4, freeMemoryBytes: undefined };
    const needs = { machine, provider: 'cpu', weightBytes: WEIGHTS, fixedBatch: null } as const;
    expect(numbers(chooseInference(needs))).toEqual([4, 1, 4]);
  });

  test('the batch of the model’s file wins over everything', () => {
    const sizes = choose({ cores: 2, fixedBatch: 3 }, { batchSize: 8 });
    expect(sizes.batchSize).toEqual({ value: 3, from: 'model file' });
  });
});

describe('what is asked for', () => {
  test('is taken, and the rest follows from it', () => {
    expect(numbers(choose({ cores: 8 }, { threads: 4 }))).toEqual([2, 4, 4]);
    expect(numbers(choose({ cores: 8 }, { threads: 16 }))).toEqual([1, 16, 4]);
    expect(numbers(choose({ cores: 8 }, { sessions: 1 }))).toEqual([1, 8, 4]);
    expect(numbers(choose({ cores: 2, memory: GIB }, { sessions: 3, threads: 2, batchSize: 32 }))).toEqual([
      3, 2, 32,
    ]);
    expect(numbers(choose({ cores: 8, provider: 'cuda' }, { threads: 2, batchSize: 16 }))).toEqual([
      1, 2, 16,
    ]);
  });

  test('each number says where it comes from', () => {
    expect(choose({ cores: 2 }, { batchSize: 16 })).toEqual({
      sessions: { value: 2, from: 'cores' },
      threads: { value: 1, from: 'cores' },
      batchSize: { value: 16, from: 'set' },
    });
    expect(choose({ cores: 2, memory: 0.9 * GIB }, { threads: 1 })).toEqual({
      sessions: { value: 1, from: 'memory' },
      threads: { value: 1, from: 'set' },
      batchSize: { value: 2, from: 'memory' },
    });
    expect(choose({ cores: 64, provider: 'cuda' })).toEqual({
      sessions: { value: 1, from: 'provider' },
      threads: { value: 1, from: 'provider' },
      batchSize: { value: 64, from: 'provider' },
    });
  });
});
