import { range, sizeOf, type Dims } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';
import type { Window } from '../window.ts';

/** A convolution whose gradients are wanted. */
export interface Convolution {
  /** `[N, C, ...]` */
  x: string;
  /** `[M, C/groups, ...kernel]` */
  weight: string;
  /** `[N, M, ...]` */
  dy: string;
  window: Window;
  groups: number;
  /** Input elements behind the last window, an axis at a time. */
  leftOver: readonly number[];
}

/** dx: the transposed convolution of dy; for a 1 × 1 kernel that moves by one, a product. */
export function inputGradient(g: ShapedGraph, convolution: Convolution): string {
  const { x, weight, dy, window, groups, leftOver } = convolution;
  if (isPointwise(g, convolution)) {
    const [n = 1, m = 1] = g.dims(dy);
    const matrix = g.reshape(weight, [m, g.dims(x)[1] ?? 1]);
    const flat = g.reshape(dy, [n, m, sizeOf(g.dims(dy).slice(2))]);
    return g.reshape(g.matmul(g.transpose(matrix, [1, 0]), flat), g.dims(x));
  }
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

/** dW by the cheapest of three ways. */
export function weightGradient(g: ShapedGraph, convolution: Convolution): string {
  if (tilesInput(g, convolution)) return weightGradientOfPatches(g, convolution);
  return weightGradientByTaps(g, convolution);
}

function isPointwise(g: ShapedGraph, { weight, window, groups }: Convolution): boolean {
  const isOne = (list: readonly number[]): boolean => list.every((n) => n === 1);
  const isUnpadded = [...window.before, ...window.after].every((n) => n === 0);
  return groups === 1 && isUnpadded && isOne(window.strides) && isOne(g.dims(weight).slice(2));
}

/** Do the windows lie side by side and cover the input, as in patch embeddings and 1 × 1 kernels? */
function tilesInput(g: ShapedGraph, { window, groups, leftOver }: Convolution): boolean {
  const isUnpadded = [...window.before, ...window.after, ...leftOver].every((n) => n === 0);
  const isSideBySide = window.kernel.every((n, i) => n === window.strides[i]);
  const isDense = window.dilations.every((n, i) => n === 1 || window.kernel[i] === 1);
  return groups === 1 && isUnpadded && isSideBySide && isDense;
}

/** One product: patches as columns. */
function weightGradientOfPatches(g: ShapedGraph, { x, weight, dy, window }: Convolution): string {
  const [n = 1, c = 1] = g.dims(x);
  const [, m = 1, ...places] = g.dims(dy);
  const axes = range(places.length);
  const blocks = axes.flatMap((i) => [places[i] ?? 1, window.kernel[i] ?? 1]);
  const apart = g.reshape(x, [n, c, ...blocks]);
  const kernelAxes = axes.map((i) => 3 + 2 * i);
  const placeAxes = axes.map((i) => 2 + 2 * i);
  const columns = sizeOf(places) * n;
  const patches = g.reshape(g.transpose(apart, [0, ...placeAxes, 1, ...kernelAxes]), [
    columns,
    c * sizeOf(window.kernel),
  ]);
  const d = g.reshape(channelsFirst(g, dy), [m, columns]);
  return g.reshape(g.gemm(d, patches), g.dims(weight));
}

/** One product a place of the kernel: what lay under it, times dy. */
function weightGradientByTaps(g: ShapedGraph, convolution: Convolution): string {
  const { x, weight, dy, window, groups } = convolution;
  const [n = 1, c = 1] = g.dims(x);
  const [, m = 1, ...places] = g.dims(dy);
  const padded = g.pad(x, [0, 0, ...window.before], [0, 0, ...window.after]);
  const area = sizeOf(places);
  const isDepthwise = groups === c && m === c;
  const grouped = (value: string, channels: number): string =>
    g.reshape(g.transpose(g.reshape(value, [n, groups, channels / groups, area]), [1, 2, 0, 3]), [
      groups,
      channels / groups,
      n * area,
    ]);
  const d = isDepthwise ? dy : grouped(dy, m);
  const taps = kernelPlaces(window.kernel).map((place) => {
    const under = takeUnder(g, padded, place, { window, places });
    return isDepthwise
      ? g.reshape(g.sum(g.mul(under, dy), [0, ...places.map((_, i) => i + 2)]), [c, 1, 1])
      : g.reshape(g.matmul(d, g.swapLast(grouped(under, c))), [m, c / groups, 1]);
  });
  return g.reshape(g.concat(taps, 2), g.dims(weight));
}

/** What lies under one place of the kernel, for every place of the output. */
function takeUnder(
  g: ShapedGraph,
  padded: string,
  place: Dims,
  { window, places }: { window: Window; places: Dims },
): string {
  return place.reduce((value, k, i) => {
    const step = window.strides[i] ?? 1;
    const start = k * (window.dilations[i] ?? 1);
    return g.slice(value, { axis: i + 2, start, end: start + ((places[i] ?? 1) - 1) * step + 1, step });
  }, padded);
}

/** Every place of a kernel, the last axis running fastest. */
function kernelPlaces(kernel: Dims): number[][] {
  return kernel.reduce<number[][]>(
    (places, length) => places.flatMap((place) => range(length).map((k) => [...place, k])),
    [[]],
  );
}

/** `[N, C, ...]` as `[C, N, ...]`. */
function channelsFirst(g: ShapedGraph, x: string): string {
  return g.transpose(x, [1, 0, ...range(g.dims(x).length - 2).map((i) => i + 2)]);
}
