import { attributesOf, float } from '../../onnx/build.ts';
import type { Node } from '../../onnx/types.ts';
import { axisOf, sameDims } from '../dims.ts';
import { constantInts } from '../rule.ts';
import type { ShapedGraph } from '../shaped-graph.ts';
import { patternIn, type Pattern } from './pattern.ts';

/**
 * (x − mean)/√(variance + ε)·scale + bias over the last axis, written as nine operators before operator set 17, becomes
 * one LayerNormalization. Returns how many were found.
 */
export function fuseLayerNorm(graph: ShapedGraph): number {
  const pattern = patternIn(graph);
  let count = 0;
  for (const node of graph.ordered()) {
    const found = node.opType === 'Add' ? layerNormOf(graph, pattern, node) : undefined;
    if (found === undefined) continue;
    const { x, scale, bias, epsilon } = found;
    const attributes = attributesOf({ axis: -1, epsilon: float(epsilon) });
    const norm = { opType: 'LayerNormalization', inputs: [x, scale, bias], attributes };
    Object.assign(node, norm satisfies Partial<Node>);
    count++;
  }
  return count;
}

interface LayerNorm {
  x: string;
  scale: string;
  bias: string;
  epsilon: number;
}

function layerNormOf(graph: ShapedGraph, pattern: Pattern, sum: Node): LayerNorm | undefined {
  const product = firstMade(pattern, sum, 'Mul');
  const quotient = firstMade(pattern, product, 'Div');
  const normal = normalOf(graph, pattern, quotient);
  if (normal === undefined) return undefined;
  const bias = pattern.other(sum, (input) => input === product?.outputs[0]) ?? '';
  const scale = pattern.other(product, (input) => input === quotient?.outputs[0]) ?? '';
  const lengths = graph.dims(normal.x).slice(-1);
  const isVector = (value: string): boolean =>
    graph.tensor(value) !== undefined && sameDims(graph.dims(value), lengths);
  return isVector(scale) && isVector(bias) ? { ...normal, scale, bias } : undefined;
}

/** x and ε of (x − mean(x))/√(mean((x − mean(x))²) + ε). */
function normalOf(
  graph: ShapedGraph,
  pattern: Pattern,
  quotient: Node | undefined,
): { x: string; epsilon: number } | undefined {
  const centred = pattern.made(quotient?.inputs[0], 'Sub');
  const [x, mean] = centred?.inputs ?? [];
  const shifted = pattern.made(pattern.made(quotient?.inputs[1], 'Sqrt')?.inputs[0], 'Add');
  const variance = pattern.other(shifted, (input) => pattern.number(input) !== undefined);
  const epsilon = pattern.number(pattern.other(shifted, (input) => input === variance));
  const square = pattern.made(meanOver(graph, pattern, variance), 'Pow', 'Mul');
  if (x === undefined || epsilon === undefined || square === undefined) return undefined;
  const isSquare =
    square.opType === 'Pow' ? pattern.number(square.inputs[1]) === 2 : square.inputs[1] === square.inputs[0];
  const ofCentred = square.inputs[0] === centred?.outputs[0];
  return isSquare && ofCentred && meanOver(graph, pattern, mean) === x ? { x, epsilon } : undefined;
}

/** What a value is the mean of, if it is one over the last axis, kept as 1. */
function meanOver(graph: ShapedGraph, pattern: Pattern, value: string | undefined): string | undefined {
  const node = pattern.made(value, 'ReduceMean');
  const [x] = node?.inputs ?? [];
  if (node === undefined || x === undefined || (node.inputs[1] ?? '') === '') return undefined;
  const rank = graph.dims(x).length;
  const axes = constantInts({ g: graph, node }, 1).map((axis) => axisOf(axis, rank));
  const isKept = graph.dims(node.outputs[0] ?? '').length === rank;
  return isKept && axes.length === 1 && axes[0] === rank - 1 ? x : undefined;
}

function firstMade(pattern: Pattern, node: Node | undefined, opType: string): Node | undefined {
  return node?.inputs.map((input) => pattern.made(input, opType)).find((found) => found !== undefined);
}
