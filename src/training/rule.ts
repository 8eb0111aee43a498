import type { Node } from '../onnx/types.ts';
import { intValues } from '../onnx/tensor-values.ts';
import { misfit } from './dims.ts';
import type { Target } from './convolution/target.ts';
import type { ShapedGraph } from './shaped-graph.ts';

/** What a rule knows of the node whose gradients it writes. */
export interface RuleCall {
  /** The graph that the gradients are appended to. */
  readonly g: ShapedGraph;
  readonly node: Node;
  /** Gradient of the node's first output; it has that output's type and lengths. */
  readonly dy: string;
  /** Gradients of all outputs; '' for one that the loss does not depend on. */
  readonly outputGradients: readonly string[];
  /** Name of an input that must be there. */
  readonly input: (index: number) => string;
  readonly output: (index?: number) => string;
  /** Does anything want the gradient of this input? */
  readonly needs: (index: number) => boolean;
  /** The node that makes a value, if one does. */
  readonly maker: (value: string) => Node | undefined;
  readonly target: Target;
}

/** The gradient of a part of a value: of what lies from `start` on along an axis. The rest has none. */
export interface Part {
  readonly value: string;
  readonly axis: number;
  readonly start: number;
}

/** A value with the type and lengths of that whose gradient it is, or a part of one. */
export type Gradient = string | Part;

/** Gradients of the node's inputs, in their order; undefined where it has none or none is needed. */
type Gradients = readonly (Gradient | undefined)[];

/** Appends what computes the gradients of a node's inputs from those of its outputs. */
export type Rule = (call: RuleCall) => Gradients;

/** The whole numbers of an input that must be a constant, as shapes and axes are. @throws ModelError otherwise. */
export function constantInts({ g, node }: Pick<RuleCall, 'g' | 'node'>, index: number): number[] {
  const name = node.inputs[index] ?? '';
  const tensor = g.tensor(name);
  if (tensor === undefined) {
    throw misfit(
      `input ${String(index)} ('${name}') of ${node.opType} '${node.name ?? ''}' in ${g.source} must be a constant`,
    );
  }
  return intValues(tensor);
}

/** As `constantInts`, with a default for an input that is left out. */
export function optionalInts(
  call: Pick<RuleCall, 'g' | 'node'>,
  index: number,
  otherwise: readonly number[],
): readonly number[] {
  return (call.node.inputs[index] ?? '') === '' ? otherwise : constantInts(call, index);
}
