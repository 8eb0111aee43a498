import type { Node } from '../../onnx/types.ts';
import type { ShapedGraph } from '../shaped-graph.ts';
import { isNear, patternIn, type Pattern } from './pattern.ts';

/**
 * x/2·(1 + erf(x/√2)), written as five operators before operator set 20, becomes one Gelu: the gradient is computed from
 * x alone, and none of the values between is kept for it. Returns how many were found.
 */
export function fuseGelu(graph: ShapedGraph): number {
  const pattern = patternIn(graph);
  let count = 0;
  for (const node of graph.ordered()) {
    const x = node.opType === 'Mul' ? geluOf(pattern, node) : undefined;
    if (x === undefined) continue;
    Object.assign(node, { opType: 'Gelu', inputs: [x], attributes: [] } satisfies Partial<Node>);
    count++;
  }
  return count;
}

/** The x of the product x · 0.5 · (1 + erf(x/√2)), in whatever order its factors are multiplied. */
function geluOf(pattern: Pattern, product: Node): string | undefined {
  return product.inputs
    .map((input, i) => {
      const within = pattern.made(input, 'Mul');
      return within === undefined
        ? undefined
        : argumentOf(pattern, [product.inputs[1 - i] ?? '', ...within.inputs]);
    })
    .find((x) => x !== undefined);
}

/** x where three factors are x, 0.5 and 1 + erf(x/√2). */
function argumentOf(pattern: Pattern, factors: readonly string[]): string | undefined {
  const x = factors
    .map((factor) => erfArgument(pattern, pattern.made(factor, 'Add')))
    .find((argument) => argument !== undefined);
  const hasHalf = factors.some((factor) => isNear(pattern.number(factor), 0.5));
  return x !== undefined && hasHalf && factors.includes(x) ? x : undefined;
}

/** The x of 1 + erf(x/√2). */
function erfArgument(pattern: Pattern, sum: Node | undefined): string | undefined {
  const erf = pattern.made(
    pattern.other(sum, (input) => pattern.number(input) === 1),
    'Erf',
  );
  const scaled = pattern.made(erf?.inputs[0], 'Div', 'Mul');
  if (scaled?.opType === 'Div') {
    return isNear(pattern.number(scaled.inputs[1]), Math.SQRT2) ? scaled.inputs[0] : undefined;
  }
  return pattern.other(scaled, (input) => isNear(pattern.number(input), Math.SQRT1_2));
}
