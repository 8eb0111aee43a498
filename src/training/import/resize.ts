import { intsOf, textOf } from '../../onnx/read-attribute.ts';
import { floatValues } from '../../onnx/tensor-values.ts';
import type { Node } from '../../onnx/types.ts';
import { axisOf, inversePermutation, lengthAt, range, sizeOf, type Dims } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';

/** Settings that make an axis depend on another, or on where a region lies. */
const NOT_SEPARABLE: readonly (readonly [string, readonly string[]])[] = [
  ['coordinate_transformation_mode', ['tf_crop_and_resize']],
  ['keep_aspect_ratio_policy', ['not_larger', 'not_smaller']],
];

/**
 * A Resize as a product an axis, or undefined for one that does not go axis by axis: resizing is linear, so y = x·M with
 * M what it makes of an axis' unit vectors, a Resize of a constant that ONNX Runtime computes once. Products have a
 * gradient; and a Resize between transposes, as exporters interpolate position embeddings, is one that ONNX Runtime
 * turns into a form which its CPU kernel refuses, unless all of it is constant.
 */
export function resizeAsProducts(node: Node, g: ShapedGraph, to: Dims): Node | undefined {
  if (NOT_SEPARABLE.some(([name, values]) => values.includes(textOf(node, name) ?? ''))) return undefined;
  const [x = ''] = node.inputs;
  const changed = range(to.length).filter((axis) => g.dims(x)[axis] !== to[axis]);
  const y = changed.reduce((value, axis) => along(g, value, axis, unitVectorsResized(node, g, axis, to)), x);
  return { ...node, opType: 'Identity', inputs: [y], attributes: [] };
}

/** Multiplies one axis by a matrix. */
function along(g: ShapedGraph, x: string, axis: number, matrix: string): string {
  const rank = g.dims(x).length;
  const toLast = [...range(rank).filter((i) => i !== axis), axis];
  const rows = g.transpose(x, toLast);
  const [before = 1, after = 1] = g.dims(matrix);
  const product = g.gemm(g.reshape(rows, [sizeOf(g.dims(rows)) / before, before]), matrix);
  const apart = g.reshape(product, [...g.dims(rows).slice(0, -1), after]);
  return g.transpose(apart, inversePermutation(toLast));
}

/** `[length before, length after]` */
function unitVectorsResized(node: Node, g: ShapedGraph, axis: number, to: Dims): string {
  const [before, after] = [lengthAt(g.dims(node.inputs[0] ?? ''), axis), lengthAt(to, axis)];
  const unit = Float32Array.from({ length: before * before }, (_, i) => Number(i % (before + 1) === 0));
  const scale = scaleOf(node, g, axis, to.length);
  const size =
    scale === undefined
      ? ['', g.ints([1, 1, before, after])]
      : [g.constant(Float32Array.of(1, 1, 1, scale)), ''];
  const kept = node.attributes.filter(({ name }) => name !== 'axes' && name !== 'keep_aspect_ratio_policy');
  const resized = g.node('Resize', [g.constant(unit, [1, 1, before, before]), '', ...size], {
    dims: [1, 1, before, after],
    attributes: Object.fromEntries(kept.map((attribute) => [attribute.name, attribute])),
  });
  return g.reshape(resized, [before, after]);
}

/** The factor of an axis; undefined where the file gives lengths instead. */
function scaleOf(node: Node, g: ShapedGraph, axis: number, rank: number): number | undefined {
  const tensor = g.tensor(node.inputs[2] ?? '');
  if (tensor === undefined || sizeOf(tensor.dims) === 0) return undefined;
  const axes = (intsOf(node, 'axes') ?? range(rank)).map((a) => axisOf(a, rank));
  return floatValues(tensor)[axes.indexOf(axis)];
}
