import { expect, test } from '@jest/globals';

import { worstError, type Case } from './finite-differences.ts';

const BROADCAST = [
  [2, 3, 4],
  [3, 1],
] as const;

test.each<[string, Case]>([
  ['Add', { inputs: BROADCAST, build: (g, a, b) => g.add(a, b) }],
  ['Add of a value to itself', { inputs: [[3, 2]], build: (g, a) => g.add(a, a) }],
  ['Sub', { inputs: BROADCAST, build: (g, a, b) => g.sub(a, b) }],
  ['Sub, the smaller first', { inputs: BROADCAST, build: (g, a, b) => g.sub(b, a) }],
  ['Mul', { inputs: BROADCAST, build: (g, a, b) => g.mul(a, b) }],
  ['Mul of a value by itself', { inputs: [[3, 2]], build: (g, a) => g.mul(a, a) }],
  ['Mul with a scalar', { inputs: [[2, 3], []], build: (g, a, b) => g.mul(a, b) }],
  ['Div', { inputs: BROADCAST, build: (g, a, b) => g.div(a, b), between: [0.5, 2] }],
  ['Div, the smaller first', { inputs: BROADCAST, build: (g, a, b) => g.div(b, a), between: [0.5, 2] }],
])('%s', async (_, example) => {
  expect(await worstError(example)).toBeLessThan(1e-6);
});
