import { describe, expect, test } from '@jest/globals';

import { float } from '../../../src/onnx/build.ts';
import type { Dims } from '../../../src/training/dims.ts';
import { worstError } from '../finite-differences.ts';

describe('MatMul', () => {
  test.each<[Dims, Dims, Dims]>([
    [
      [2, 3],
      [3, 4],
      [2, 4],
    ],
    [
      [2, 5, 3],
      [3, 4],
      [2, 5, 4],
    ],
    [
      [2, 2, 5, 3],
      [3, 4],
      [2, 2, 5, 4],
    ],
    [
      [2, 5, 3],
      [2, 3, 4],
      [2, 5, 4],
    ],
    [
      [2, 1, 5, 3],
      [4, 3, 2],
      [2, 4, 5, 2],
    ],
    [
      [5, 3],
      [2, 3, 4],
      [2, 5, 4],
    ],
    [[3], [3, 4], [4]],
    [[2, 3], [3], [2]],
    [[2, 4, 3], [3], [2, 4]],
    [[3], [2, 3, 4], [2, 4]],
    [[3], [3], []],
  ])('%j times %j', async (a, b, dims) => {
    const build = { build: (g: Graph, x: string, y: string) => g.node('MatMul', [x, y], { dims }) };
    expect(await worstError({ inputs: [a, b], ...build })).toBeLessThan(1e-6);
  });
});

describe('Gemm', () => {
  const bias: Dims[] = [[2, 4], [4], [2, 1], [1]];
  const flags = [0, 1].flatMap((transA) => [0, 1].map((transB) => ({ transA, transB })));
  test.each(flags)('%j, every way', async ({ transA, transB }) => {
    const inputs = [transA === 1 ? [3, 2] : [2, 3], transB === 1 ? [4, 3] : [3, 4]];
    const attributes = { transA, transB, alpha: float(0.5), beta: float(2) };
    for (const c of bias) {
      const error = await worstError({
        inputs: [...inputs, c],
        build: (g, ...names) => g.node('Gemm', names, { dims: [2, 4], attributes }),
      });
      expect(error).toBeLessThan(1e-6);
    }
  });

  test('without bias', async () => {
    const inputs = [
      [2, 3],
      [3, 4],
    ] as const;
    const build = { build: (g: Graph, a: string, b: string) => g.gemm(a, b) };
    expect(await worstError({ inputs, ...build })).toBeLessThan(1e-6);
  });
});

type Graph = Parameters<Parameters<typeof worstError>[0]['build']>[0];
