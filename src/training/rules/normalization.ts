import { floatOf, intOf } from '../../onnx/read-attribute.ts';
import { axisOf, misfit, range, reducedDims, sizeOf } from '../dims.ts';
import type { Rule } from '../rule.ts';
import type { ShapedGraph } from '../shaped-graph.ts';

/** What ONNX takes where the file names no epsilon. */
const DEFAULT_EPSILON = 1e-5;

/** With x̂ = (x − mean)·inv and g = dy·scale: dx = inv·(g − mean(g) − x̂·mean(g·x̂)). */
const layerNormalization: Rule = (call) => {
  const { g, node, dy, input, needs } = call;
  const dims = g.dims(input(0));
  const axis = axisOf(intOf(node, 'axis') ?? -1, dims.length);
  const axes = range(dims.length).filter((i) => i >= axis);
  // The forward kernel hands out what it computed anyway, as float32.
  const statistics = { type: 'float32', dims: reducedDims(dims, axes, true) } as const;
  const extra = (index: number): string => g.cast(g.extraOutput(node, index, statistics), g.type(dy));
  const [mean, inverse] = [extra(1), extra(2)];
  const normal = g.mul(g.sub(input(0), mean), inverse);
  return [
    needs(0) ? throughMoments(g, { d: g.mul(dy, input(1)), normal, inverse, axes }) : undefined,
    needs(1) ? g.sumTo(g.mul(dy, normal), g.dims(input(1))) : undefined,
    needs(2) ? g.sumTo(dy, g.dims(input(2))) : undefined,
  ];
};

interface Moments {
  /** Gradient of the normalised values. */
  d: string;
  /** The normalised values. */
  normal: string;
  /** 1 / standard deviation. */
  inverse: string;
  axes: readonly number[];
}

function throughMoments(g: ShapedGraph, { d, normal, inverse, axes }: Moments): string {
  const straight = g.sub(d, g.mean(d, axes));
  return g.mul(inverse, g.sub(straight, g.mul(normal, g.mean(g.mul(d, normal), axes))));
}

/** With the statistics that the file has, as constants: an affine map a channel. */
const batchNormalization: Rule = (call) => {
  const { g, node, dy, input, needs } = call;
  if (intOf(node, 'training_mode') === 1) {
    throw misfit(
      `BatchNormalization '${node.name ?? ''}' in ${g.source} is in training mode: export the model for inference`,
    );
  }
  const dims = g.dims(input(0));
  const channels = dims[1] ?? 1;
  const column = [channels, ...dims.slice(2).map(() => 1)];
  const others = range(dims.length).filter((i) => i !== 1);
  const variance = g.add(input(4), floatOf(node, 'epsilon') ?? DEFAULT_EPSILON);
  const inverse = g.unary('Reciprocal', g.sqrt(variance));
  const centred = (): string => g.sub(input(0), g.reshape(input(3), column));
  return [
    needs(0) ? g.mul(dy, g.reshape(g.mul(input(1), inverse), column)) : undefined,
    needs(1) ? g.mul(g.sum(g.mul(dy, centred()), others, false), inverse) : undefined,
    needs(2) ? g.sum(dy, others, false) : undefined,
  ];
};

/** Statistics over all places of a channel. */
const instanceNormalization: Rule = ({ g, node, dy, input, needs }) => {
  const dims = g.dims(input(0));
  const [batch = 1, channels = 1] = dims;
  const column = [channels, ...dims.slice(2).map(() => 1)];
  const grouped = [batch, channels, sizeOf(dims.slice(2))];
  const x = g.reshape(input(0), grouped);
  const centred = g.sub(x, g.mean(x, [2]));
  const variance = g.add(g.mean(g.mul(centred, centred), [2]), floatOf(node, 'epsilon') ?? DEFAULT_EPSILON);
  const inverse = g.unary('Reciprocal', g.sqrt(variance));
  const normal = g.mul(centred, inverse);
  const scaled = (): string => g.reshape(g.mul(dy, g.reshape(input(1), column)), grouped);
  const others = range(dims.length).filter((i) => i !== 1);
  return [
    needs(0) ? g.reshape(throughMoments(g, { d: scaled(), normal, inverse, axes: [2] }), dims) : undefined,
    needs(1) ? g.sum(g.mul(dy, g.reshape(normal, dims)), others, false) : undefined,
    needs(2) ? g.sum(dy, others, false) : undefined,
  ];
};

export const NORMALIZATION_RULES: Readonly<Record<string, Rule>> = {
  LayerNormalization: layerNormalization,
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
};
