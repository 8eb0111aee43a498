import { expect, test } from '@jest/globals';

import type { Node } from '../../src/onnx/types.ts';
import { inOrder } from '../../src/training/order.ts';

function node(name: string, inputs: string[]): Node {
  return { opType: 'Any', name, inputs, outputs: [name], attributes: [], metadata: [] };
}

const names = (nodes: readonly Node[]): (string | undefined)[] => nodes.map(({ name }) => name);

test('makers come before readers, and otherwise nodes stay where they are', () => {
  const nodes = [
    node('d', ['b', 'c']),
    node('a', []),
    node('c', ['a']),
    node('b', ['a', 'x']),
    node('e', ['d']),
  ];
  expect(names(inOrder(nodes))).toEqual(['a', 'b', 'c', 'd', 'e']);
  const sorted = [node('a', []), node('z', []), node('b', ['a'])];
  expect(names(inOrder(sorted))).toEqual(['a', 'z', 'b']);
});

test('a long chain is no matter', () => {
  const chain = Array.from({ length: 50_000 }, (_, i) => node(String(i), i === 0 ? [] : [String(i - 1)]));
  expect(names(inOrder(chain.toReversed()))).toEqual(names(chain));
});

test('a circle is told', () => {
  expect(() => inOrder([node('a', ['b']), node('b', ['c']), node('c', ['a'])])).toThrow(
    /needs its own result/,
  );
  expect(() => inOrder([node('a', ['a'])])).toThrow(/needs its own result/);
});
