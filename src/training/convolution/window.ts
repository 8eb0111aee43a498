import { intOf, intsOf, textOf } from '../../onnx/read-attribute.ts';
import type { Node } from '../../onnx/types.ts';
import { range, type Dims } from '../dims.ts';

/** How a window (a kernel) moves over the spatial axes: one number an axis. */
export interface Window {
  kernel: number[];
  strides: number[];
  dilations: number[];
  /** Zeros put before and after each axis. */
  before: number[];
  after: number[];
  /** What of `after` is there only because the last window, with `ceil_mode`, reaches beyond. */
  beyond: number[];
}

/**
 * The window of a Conv or pool, with `auto_pad` resolved. `after` is what the windows reach, which with `ceil_mode` may
 * be more than the file says.
 */
export function windowOf(node: Node, spatial: { input: Dims; output: Dims; kernel: Dims }): Window {
  const axes = range(spatial.input.length);
  const strides = intsOf(node, 'strides') ?? axes.map(() => 1);
  const dilations = intsOf(node, 'dilations') ?? axes.map(() => 1);
  const span = (i: number): number => ((spatial.kernel[i] ?? 1) - 1) * (dilations[i] ?? 1) + 1;
  const missing = (i: number): number =>
    Math.max(0, ((spatial.output[i] ?? 1) - 1) * (strides[i] ?? 1) + span(i) - (spatial.input[i] ?? 1));
  const pads = intsOf(node, 'pads') ?? [];
  const auto = textOf(node, 'auto_pad') ?? 'NOTSET';
  const before = axes.map((i) => {
    if (auto === 'SAME_UPPER') return Math.floor(missing(i) / 2);
    if (auto === 'SAME_LOWER') return Math.ceil(missing(i) / 2);
    return auto === 'VALID' ? 0 : (pads[i] ?? 0);
  });
  const isSame = auto === 'SAME_UPPER' || auto === 'SAME_LOWER';
  const said = axes.map((i) => {
    if (isSame) return missing(i) - (before[i] ?? 0);
    return auto === 'VALID' ? 0 : (pads[i + axes.length] ?? 0);
  });
  const isRoundedUp = intOf(node, 'ceil_mode') === 1;
  const beyond = said.map((n, i) => (isRoundedUp ? Math.max(0, missing(i) - (before[i] ?? 0) - n) : 0));
  const after = said.map((n, i) => n + (beyond[i] ?? 0));
  return { kernel: [...spatial.kernel], strides, dilations, before, after, beyond };
}

/** Input elements behind the last window's reach, an axis at a time: what a transposed convolution must add. */
export function leftOver(window: Window, input: Dims, output: Dims): number[] {
  return input.map((length, i) => {
    const { kernel, strides, dilations, before, after } = window;
    const reach =
      ((output[i] ?? 1) - 1) * (strides[i] ?? 1) + ((kernel[i] ?? 1) - 1) * (dilations[i] ?? 1) + 1;
    return length + (before[i] ?? 0) + (after[i] ?? 0) - reach;
  });
}
