import type { GraphBuilder } from '../../onnx/build.ts';

/** A pixel belongs to the ground where every channel is this near to the corners' mean (of 1). */
const GROUND_TOLERANCE = 0.022;
/** A row or column is empty where less than this share of it stands off the ground. */
const EMPTY_SHARE = 0.025;
/** At most this share is cut away on a side. */
const MOST_CUT = 0.3;
const FLOAT = 1; // TensorProto.FLOAT, for Cast

/**
 * Cuts away an even margin, as packshots have: the outermost rows and columns that differ from the colour of the four
 * corners become the new edges, and what lies between is stretched over the whole. Bilinear, written as one matrix
 * from the left and one from the right, since that runs on every execution provider. A picture whose corners differ
 * (a cutout with its surroundings) stays as it is.
 * @param x float32 [batch, 3, size, size], 0..1
 */
export function trimLightMargin(g: GraphBuilder, x: string, size: number): string {
  const scalar = (value: number) => g.floats([value], []);
  const corner = { kernel_shape: [2, 2], strides: [size - 2, size - 2] };
  const corners = g.node('MaxPool', [x], { attributes: corner });
  const ground = g.node('ReduceMean', [corners], { attributes: { axes: [2, 3], keepdims: 1 } });
  const apart = g.node('Abs', [g.node('Sub', [x, ground])]);
  const most = g.node('ReduceMax', [apart], { attributes: { axes: [1], keepdims: 1 } });
  const taken = cast(g, g.node('Greater', [most, scalar(GROUND_TOLERANCE)]));
  const down = stretch(g, taken, { size, along: 2 });
  const across = g.node('Transpose', [stretch(g, taken, { size, along: 3 })], {
    attributes: { perm: [0, 1, 3, 2] },
  });
  return g.node('MatMul', [down, g.node('MatMul', [x, across])]);
}

/** [batch, 1, size to, size from]: weights that stretch the taken part along one axis over its whole length. */
function stretch(g: GraphBuilder, taken: string, part: { size: number; along: 2 | 3 }): string {
  const { size, along } = part;
  const scalar = (value: number) => g.floats([value], []);
  const counting = Array.from({ length: size }, (_, i) => i);
  const reduce = { attributes: { axes: [2], keepdims: 1 } };

  const filled = g.node('ReduceMean', [taken], { attributes: { axes: [along === 2 ? 3 : 2], keepdims: 0 } });
  const empty = cast(g, g.node('Less', [filled, scalar(EMPTY_SHARE)]));
  // An empty row counts as far away, and so is neither the first nor the last.
  const far = g.node('Mul', [empty, scalar(10 * size)]);
  const index = g.floats(counting, [1, 1, size]);
  const low = g.node('ReduceMin', [g.node('Add', [index, far])], reduce);
  const high = g.node('ReduceMax', [g.node('Sub', [index, far])], reduce);
  const first = g.node('Clip', [low, scalar(0), scalar(size * MOST_CUT)]);
  const last = g.node('Clip', [high, scalar(size * (1 - MOST_CUT)), scalar(size - 1)]);

  const reach = g.node('Unsqueeze', [g.node('Sub', [last, first]), g.ints([3])]);
  const start = g.node('Unsqueeze', [first, g.ints([3])]);
  const steps = g.floats(
    counting.map((i) => i / (size - 1)),
    [1, 1, size, 1],
  );
  const from = g.node('Add', [start, g.node('Mul', [steps, reach])]);
  const distance = g.node('Abs', [g.node('Sub', [from, g.floats(counting, [1, 1, 1, size])])]);
  return g.node('Relu', [g.node('Sub', [scalar(1), distance])]);
}

function cast(g: GraphBuilder, condition: string): string {
  return g.node('Cast', [condition], { attributes: { to: FLOAT } });
}
