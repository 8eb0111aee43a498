import { floatValues } from '../../onnx/tensor-values.ts';
import type { Node, Tensor } from '../../onnx/types.ts';
import { influencing } from '../backward.ts';
import type { ShapedGraph } from '../shaped-graph.ts';

/** At or below this, an added constant takes a score out of a softmax. */
const MASKED_SCORE = -50;

/** Operators that a picture's normalisation in front of a model consists of. */
const PREPROCESSING = new Set(['Add', 'Sub', 'Mul', 'Div', 'Cast', 'Transpose', 'Reshape', 'Identity']);

/**
 * Which of these weights can be trained: those that the output depends on smoothly, except running statistics, attention
 * masks (zeros and great negative numbers) and constants that normalise the pictures.
 */
export function trainable(graph: ShapedGraph, weights: readonly Tensor[], output: string): string[] {
  const fixed = new Set([...statistics(graph.ordered()), ...preprocessing(graph)]);
  const names = weights
    .filter((tensor) => !fixed.has(tensor.name ?? '') && !isMask(tensor))
    .map((tensor) => tensor.name ?? '');
  return influencing(graph, names, output);
}

function statistics(nodes: readonly Node[]): string[] {
  return nodes.flatMap((node) => (node.opType === 'BatchNormalization' ? node.inputs.slice(3) : []));
}

/** Constants that meet the pictures before any layer does. */
function preprocessing(graph: ShapedGraph): string[] {
  const pictures = new Set(graph.inputNames());
  const constants: string[] = [];
  for (const node of graph.ordered()) {
    const rest = node.inputs.filter((name) => !pictures.has(name));
    const isPicture =
      rest.length < node.inputs.length && rest.every((name) => graph.tensor(name) !== undefined);
    if (!PREPROCESSING.has(node.opType) || !isPicture) continue;
    constants.push(...rest);
    for (const name of node.outputs) pictures.add(name);
  }
  return constants;
}

function isMask(tensor: Tensor): boolean {
  const values = floatValues(tensor);
  return (
    values.includes(0) && values.some((v) => v !== 0) && values.every((v) => v === 0 || v <= MASKED_SCORE)
  );
}
