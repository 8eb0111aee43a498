import { expect, test } from '@jest/globals';

import { worstError, type Case } from '../finite-differences.ts';

const BROADCAST = [
  [2, 3, 4],
  [3, 1],
] as const;
const POSITIVE = [0.5, 2] as const;

test.each<[string, Case]>([
  ['Add', { inputs: BROADCAST, build: (g, a, b) => g.add(a, b) }],
  ['Add of a value to itself', { inputs: [[3, 2]], build: (g, a) => g.add(a, a) }],
  ['Sub', { inputs: BROADCAST, build: (g, a, b) => g.sub(a, b) }],
  ['Sub, the smaller first', { inputs: BROADCAST, build: (g, a, b) => g.sub(b, a) }],
  ['Mul', { inputs: BROADCAST, build: (g, a, b) => g.mul(a, b) }],
  ['Mul of a value by itself', { inputs: [[3, 2]], build: (g, a) => g.mul(a, a) }],
  ['Mul with a scalar', { inputs: [[2, 3], []], build: (g, a, b) => g.mul(a, b) }],
  [
    'Mul where both are broadcast',
    {
      inputs: [
        [2, 1, 3],
        [4, 1],
      ],
      build: (g, a, b) => g.mul(a, b),
    },
  ],
  ['Div', { inputs: BROADCAST, build: (g, a, b) => g.div(a, b), between: POSITIVE }],
  ['Div, the smaller first', { inputs: BROADCAST, build: (g, a, b) => g.div(b, a), between: POSITIVE }],
  ['Pow 2', { inputs: [[3, 2]], build: (g, a) => g.pow(a, 2) }],
  ['Pow 3', { inputs: [[3, 2]], build: (g, a) => g.pow(a, 3) }],
  ['Pow 0.5', { inputs: [[3, 2]], build: (g, a) => g.pow(a, 0.5), between: POSITIVE }],
  ['Pow -1', { inputs: [[3, 2]], build: (g, a) => g.pow(a, -1), between: POSITIVE }],
  ['Pow of two values', { inputs: BROADCAST, build: (g, a, b) => g.pow(a, b), between: POSITIVE }],
  ['Min', { inputs: BROADCAST, build: (g, a, b) => g.min(a, b) }],
  ['Max', { inputs: BROADCAST, build: (g, a, b) => g.max(b, a) }],
  [
    'Max of three',
    { inputs: [[5], [5], [5]], build: (g, a, b, c) => g.node('Max', [a, b, c], { dims: [5] }) },
  ],
  ['Sum', { inputs: [[2, 3], [3], [1]], build: (g, a, b, c) => g.node('Sum', [a, b, c], { dims: [2, 3] }) }],
  [
    'Where',
    {
      inputs: [[2, 3], [3], [3]],
      build: (g, a, b, c) => g.where(g.compare('Greater', a, 0), g.mul(b, a), c),
    },
  ],
  ['Neg', { inputs: [[3]], build: (g, a) => g.neg(a) }],
  ['Exp', { inputs: [[3]], build: (g, a) => g.exp(a) }],
  ['Log', { inputs: [[3]], build: (g, a) => g.log(a), between: POSITIVE }],
  ['Sqrt', { inputs: [[3]], build: (g, a) => g.sqrt(a), between: POSITIVE }],
  ['Reciprocal', { inputs: [[3]], build: (g, a) => g.unary('Reciprocal', a), between: POSITIVE }],
  ['Abs', { inputs: [[4]], build: (g, a) => g.unary('Abs', a) }],
  ['Sin', { inputs: [[3]], build: (g, a) => g.unary('Sin', a) }],
  ['Cos', { inputs: [[3]], build: (g, a) => g.unary('Cos', a) }],
])('%s', async (_, example) => {
  expect(await worstError(example)).toBeLessThan(1e-6);
});
