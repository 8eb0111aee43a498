import { range } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';
import { isDepthwise, isUnpadded, sizesOf, type Convolution } from './convolution.ts';
import { depthwiseWeightGradient } from './depthwise-gradient.ts';
import type { Target } from './target.ts';
import { underKernel } from './under-kernel.ts';

/**
 * dW: products of dy with what lay under the kernel, summed over places and images. Either image by image, and the
 * results are summed afterwards, or all images in one product, for which the values are rearranged first: whichever has
 * less to move.
 */
export function weightGradient(g: ShapedGraph, convolution: Convolution, target: Target): string {
  if (isDepthwise(g, convolution)) return depthwiseWeightGradient(g, convolution, target);
  const { images, from, to, groups, area } = sizesOf(g, convolution);
  const isByImage = images === 1 || 2 * from * (to / groups) <= (from + to) * area;
  return isByImage ? imageByImage(g, convolution) : allAtOnce(g, convolution);
}

function imageByImage(g: ShapedGraph, convolution: Convolution): string {
  const { x, weight, dy, window } = convolution;
  const { images, from, to, groups, area, taps } = sizesOf(g, convolution);
  const product = (value: string, channels: number): string => {
    const d = g.reshape(dy, [images, groups, to / groups, area]);
    const under = g.reshape(value, [images, groups, channels / groups, area]);
    return g.sum(g.matmul(d, g.swapLast(under)), [0], false);
  };
  if (tilesInput(convolution)) {
    return g.reshape(product(patches(g, convolution, 'images first'), from * taps), g.dims(weight));
  }
  const parts = underKernel(g, x, window, g.dims(dy).slice(2)).map((value) =>
    g.reshape(product(value, from), [to, from / groups, 1]),
  );
  return g.reshape(g.concat(parts, 2), g.dims(weight));
}

function allAtOnce(g: ShapedGraph, convolution: Convolution): string {
  const { x, weight, dy, window } = convolution;
  const { images, from, to, groups, area, taps } = sizesOf(g, convolution);
  const rows = (value: string, channels: number): string =>
    g.reshape(value, [groups, channels / groups, images * area]);
  const d = rows(swapped(g, dy), to);
  if (tilesInput(convolution)) {
    const under = rows(patches(g, convolution, 'channels first'), from * taps);
    return g.reshape(productOf(g, d, under), g.dims(weight));
  }
  const under = underKernel(g, swapped(g, x), window, g.dims(dy).slice(2)).map((value) => rows(value, from));
  const product = g.reshape(productOf(g, d, g.concat(under, 1)), [to, taps, from / groups]);
  return g.reshape(g.transpose(product, [0, 2, 1]), g.dims(weight));
}

/** d·underᵀ, a group at a time. */
function productOf(g: ShapedGraph, d: string, under: string): string {
  const [groups, rows = 1, columns = 1] = g.dims(d);
  if (groups !== 1) return g.matmul(d, g.swapLast(under));
  const flat = [g.reshape(d, [rows, columns]), g.reshape(under, [g.dims(under)[1] ?? 1, columns])] as const;
  return g.gemm(...flat, { transB: true });
}

/** Do the windows lie side by side and cover the input, as in patch embeddings and 1 × 1 kernels? */
function tilesInput(convolution: Convolution): boolean {
  const { window, leftOver } = convolution;
  const isSideBySide = window.kernel.every((n, i) => n === window.strides[i]);
  const isDense = window.dilations.every((n, i) => n === 1 || window.kernel[i] === 1);
  return isUnpadded(convolution) && leftOver.every((n) => n === 0) && isSideBySide && isDense;
}

/** x with the kernel's places as channels, `[N, C·taps, area]` or `[C·taps, N, area]`: one rearrangement. */
function patches(g: ShapedGraph, convolution: Convolution, order: 'images first' | 'channels first'): string {
  const { x, dy, window } = convolution;
  const { images, from, area, taps } = sizesOf(g, convolution);
  if (taps === 1) return order === 'images first' ? x : swapped(g, x);
  const axes = range(window.kernel.length);
  const blocks = axes.flatMap((i) => [g.dims(dy)[i + 2] ?? 1, window.kernel[i] ?? 1]);
  const [places, kernel] = [axes.map((i) => 2 + 2 * i), axes.map((i) => 3 + 2 * i)];
  const apart = g.reshape(x, [images, from, ...blocks]);
  return order === 'images first'
    ? g.reshape(g.transpose(apart, [0, 1, ...kernel, ...places]), [images, from * taps, area])
    : g.reshape(g.transpose(apart, [1, ...kernel, 0, ...places]), [from * taps, images, area]);
}

/** The first two axes change places. */
function swapped(g: ShapedGraph, x: string): string {
  return g.transpose(x, [1, 0, ...range(g.dims(x).length - 2).map((i) => i + 2)]);
}
