import { floatValues } from '../../onnx/tensor-values.ts';
import type { Node } from '../../onnx/types.ts';
import { sizeOf } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';

/** Looks backwards through a graph for a form that several operators make together. */
export interface Pattern {
  /** The node of one of these operators that makes a value, if it does. */
  made(value: string | undefined, ...opTypes: string[]): Node | undefined;
  /** The value of a constant with a single element. */
  number(value: string | undefined): number | undefined;
  /** The other of a node's two inputs, if one of them passes. */
  other(node: Node | undefined, passes: (input: string) => boolean): string | undefined;
}

export function patternIn(graph: ShapedGraph): Pattern {
  const makers = new Map(
    graph.ordered().flatMap((node) => node.outputs.map((name) => [name, node] as const)),
  );
  return {
    made: (value, ...opTypes) => {
      const node = makers.get(value ?? '');
      return node !== undefined && opTypes.includes(node.opType) ? node : undefined;
    },
    number: (value) => {
      const tensor = graph.tensor(value ?? '');
      const isOne = tensor !== undefined && sizeOf(tensor.dims) === 1;
      return isOne && graph.type(value ?? '') === 'float32' ? floatValues(tensor)[0] : undefined;
    },
    other: (node, passes) => {
      const [a = '', b = ''] = node?.inputs ?? [];
      if (passes(a)) return b;
      return passes(b) ? a : undefined;
    },
  };
}

/** Equal up to what float32 and an exporter's own rounding leave. */
export function isNear(value: number | undefined, expected: number): boolean {
  return value !== undefined && Math.abs(value - expected) <= 1e-4 * Math.abs(expected);
}
