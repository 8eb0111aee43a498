import { expect, test } from '@jest/globals';

import { worstError, type Case } from '../finite-differences.ts';

/** Squared, so that the gradient depends on where an element came from. */
const squared =
  (build: Case['build']): Case['build'] =>
  (g, ...inputs) => {
    const y = build(g, ...inputs);
    return g.mul(y, y);
  };

test.each<[string, Case]>([
  ['Identity', { inputs: [[2, 3]], build: (g, x) => g.unary('Identity', x) }],
  [
    'Cast',
    { inputs: [[2, 3]], build: (g, x) => g.cast(g.mul(g.cast(x, 'float32'), 2), 'float64'), step: 1e-2 },
  ],
  ['Reshape', { inputs: [[2, 6]], build: (g, x) => g.reshape(x, [3, 4]) }],
  [
    'Flatten',
    {
      inputs: [[2, 3, 2]],
      build: (g, x) => g.node('Flatten', [x], { dims: [2, 6], attributes: { axis: 1 } }),
    },
  ],
  [
    'Squeeze',
    { inputs: [[2, 1, 3]], build: (g, x) => g.node('Squeeze', [x, g.ints([1])], { dims: [2, 3] }) },
  ],
  [
    'Unsqueeze',
    { inputs: [[2, 3]], build: (g, x) => g.node('Unsqueeze', [x, g.ints([0])], { dims: [1, 2, 3] }) },
  ],
  ['Transpose', { inputs: [[2, 3, 4]], build: (g, x) => g.transpose(x, [2, 0, 1]) }],
  [
    'Transpose, axes turned round where none are said',
    { inputs: [[2, 3, 4]], build: (g, x) => g.node('Transpose', [x], { dims: [4, 3, 2] }) },
  ],
  ['Expand', { inputs: [[3, 1]], build: (g, x) => g.expand(x, [2, 3, 4]) }],
  ['Tile', { inputs: [[2, 3]], build: (g, x) => g.node('Tile', [x, g.ints([2, 3])], { dims: [4, 9] }) }],
  [
    'Concat',
    {
      inputs: [
        [2, 3],
        [2, 1],
        [2, 2],
      ],
      build: (g, a, b, c) => g.concat([a, b, c], 1),
    },
  ],
  ['Concat of a value with itself', { inputs: [[2, 3]], build: (g, a) => g.concat([a, a], -2) }],
  [
    'Split',
    {
      inputs: [[2, 6]],
      build: (g, x) => {
        const [a = '', b = '', c = ''] = g.split(x, [1, 2, 3], 1);
        return g.concat([c, b, a], 1);
      },
    },
  ],
  [
    'Split, of which one part is used',
    { inputs: [[6, 2]], build: (g, x) => g.split(x, [2, 3, 1], 0)[1] ?? '' },
  ],
  ['Pad', { inputs: [[2, 3]], build: (g, x) => g.pad(x, [1, 0], [0, 2]) }],
  [
    'Pad with a value, some axes',
    {
      inputs: [[2, 3]],
      build: (g, x) =>
        g.node('Pad', [x, g.ints([2, 1]), g.scalar(0.5, 'float64'), g.ints([-1])], { dims: [2, 6] }),
    },
  ],
  [
    'Pad by less than nothing',
    { inputs: [[3, 5]], build: (g, x) => g.node('Pad', [x, g.ints([1, -2, 0, -1])], { dims: [4, 2] }) },
  ],
])('%s', async (_, example) => {
  expect(await worstError({ ...example, build: squared(example.build) })).toBeLessThan(1e-5);
});
