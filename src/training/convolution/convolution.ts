import { lengthAt, sizeOf } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';
import type { Window } from './window.ts';

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

/** The lengths that decide how a convolution's gradients are computed. */
export interface Sizes {
  /** N */
  images: number;
  /** C */
  from: number;
  /** M */
  to: number;
  groups: number;
  /** Places of the output. */
  area: number;
  /** Places of the kernel. */
  taps: number;
}

export function sizesOf(g: ShapedGraph, { x, dy, window, groups }: Convolution): Sizes {
  return {
    images: lengthAt(g.dims(x), 0),
    from: lengthAt(g.dims(x), 1),
    to: lengthAt(g.dims(dy), 1),
    groups,
    area: sizeOf(g.dims(dy).slice(2)),
    taps: sizeOf(window.kernel),
  };
}

export function isUnpadded({ window }: Convolution): boolean {
  return [...window.before, ...window.after].every((n) => n === 0);
}

export function movesByOne({ window }: Convolution): boolean {
  return window.strides.every((n) => n === 1);
}

/** One weight a pair of channels: a product of matrices. */
export function isPointwise(g: ShapedGraph, convolution: Convolution): boolean {
  const { groups, taps } = sizesOf(g, convolution);
  return taps === 1 && groups === 1 && isUnpadded(convolution) && movesByOne(convolution);
}

/** One channel in, one out. */
export function isDepthwise(g: ShapedGraph, convolution: Convolution): boolean {
  const { groups, from, to } = sizesOf(g, convolution);
  return groups === from && to === from;
}
