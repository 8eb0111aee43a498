import { sizeOf } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';
import { isDepthwise, isPointwise, movesByOne, sizesOf, type Convolution } from './convolution.ts';
import type { Target } from './target.ts';

/** From here on ONNX Runtime's CPU convolves faster than it scatters; below, the kernel's rearrangement costs more. */
const CONVOLVED_FROM_AREA = 28 * 28;

/** dx: the transposed convolution of dy, in the form that runs fastest. */
export function inputGradient(g: ShapedGraph, convolution: Convolution, target: Target): string {
  if (isPointwise(g, convolution)) return byProduct(g, convolution);
  const isLarge = isDepthwise(g, convolution) || sizesOf(g, convolution).area >= CONVOLVED_FROM_AREA;
  if (target === 'cpu' && isLarge && movesByOne(convolution)) return byTurnedKernel(g, convolution);
  return byScattering(g, convolution);
}

function byProduct(g: ShapedGraph, { x, weight, dy }: Convolution): string {
  const [n = 1, m = 1, ...places] = g.dims(dy);
  const matrix = g.reshape(weight, [m, g.dims(x)[1] ?? 1]);
  const flat = g.reshape(dy, [n, m, sizeOf(places)]);
  return g.reshape(g.matmul(g.transpose(matrix, [1, 0]), flat), g.dims(x));
}

function byScattering(g: ShapedGraph, { x, weight, dy, window, groups, leftOver }: Convolution): string {
  return g.node('ConvTranspose', [dy, weight], {
    dims: g.dims(x),
    attributes: {
      strides: window.strides,
      dilations: window.dilations,
      pads: [...window.before, ...window.after],
      output_padding: leftOver,
      group: groups,
    },
  });
}

/** A convolution of dy with the kernel turned round: where it moves by one that is the same. */
function byTurnedKernel(g: ShapedGraph, { x, weight, dy, window, groups }: Convolution): string {
  const [m = 1, perGroup = 1, ...kernel] = g.dims(weight);
  const axes = kernel.map((_, i) => i + 2);
  const where = [kernel.map((n) => n - 1), kernel.map((n) => -n - 1), axes, kernel.map(() => -1)];
  const turned = g.node('Slice', [weight, ...where.map((list) => g.ints(list))], { dims: g.dims(weight) });
  const apart = g.reshape(turned, [groups, m / groups, perGroup, ...kernel]);
  const swapped = g.transpose(apart, [0, 2, 1, ...axes.map((axis) => axis + 1)]);
  const reach = kernel.map((n, i) => (n - 1) * (window.dilations[i] ?? 1));
  return g.node('Conv', [dy, g.reshape(swapped, [groups * perGroup, m / groups, ...kernel])], {
    dims: g.dims(x),
    attributes: {
      dilations: window.dilations,
      pads: [
        ...reach.map((n, i) => n - (window.before[i] ?? 0)),
        ...reach.map((n, i) => n - (window.after[i] ?? 0)),
      ],
      group: groups,
    },
  });
}
