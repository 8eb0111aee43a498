import { range } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';
import { movesByOne, sizesOf, type Convolution } from './convolution.ts';
import type { Target } from './target.ts';
import { underKernel } from './under-kernel.ts';

/** Kernels of more places than these are cheaper to slide dy over than to take tap by tap. */
const MAX_TAPS = 9;

/** dW of a convolution with one channel in and one out, in the form that runs fastest. */
export function depthwiseWeightGradient(g: ShapedGraph, convolution: Convolution, target: Target): string {
  const isSmall = sizesOf(g, convolution).taps <= MAX_TAPS && movesByOne(convolution);
  return target === 'cpu' && !isSmall ? bySliding(g, convolution) : bySums(g, convolution);
}

/** What lay under each place of the kernel, times dy, summed. */
function bySums(g: ShapedGraph, { x, weight, dy, window }: Convolution): string {
  const others = range(g.dims(dy).length).filter((axis) => axis !== 1);
  const sums = underKernel(g, x, window, g.dims(dy).slice(2)).map((value) =>
    g.reshape(g.sum(g.mul(value, dy), others, false), [g.dims(x)[1] ?? 1, 1]),
  );
  return g.reshape(g.concat(sums, 1), g.dims(weight));
}

/** dy slides over x as a kernel, with images as channels, and steps and gaps in each other's place. */
function bySliding(g: ShapedGraph, { x, weight, dy, window }: Convolution): string {
  const [images = 1, channels = 1, ...lengths] = g.dims(x);
  const swap = [1, 0, ...lengths.map((_, i) => i + 2)];
  const slid = lengths.map((length, i) => {
    const padded = length + (window.before[i] ?? 0) + (window.after[i] ?? 0);
    const reach = ((g.dims(dy)[i + 2] ?? 1) - 1) * (window.strides[i] ?? 1) + 1;
    return Math.floor((padded - reach) / (window.dilations[i] ?? 1)) + 1;
  });
  const beneath = g.reshape(g.transpose(x, swap), [1, channels * images, ...lengths]);
  const result = g.node('Conv', [beneath, g.transpose(dy, swap)], {
    dims: [1, channels, ...slid],
    attributes: {
      strides: window.dilations,
      dilations: window.strides,
      pads: [...window.before, ...window.after],
      group: channels,
    },
  });
  // Where the forward pass left a rest, dy fits in more places than the kernel has.
  const kernel = window.kernel.reduce(
    (value, length, i) => g.slice(value, { axis: i + 2, start: 0, end: length }),
    result,
  );
  return g.reshape(kernel, g.dims(weight));
}
