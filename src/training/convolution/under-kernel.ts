import { range, type Dims } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';
import type { Window } from './window.ts';

/**
 * What lies under each place of the kernel, for every place of the output: `[a, b, ...places]` a place, for x
 * `[a, b, ...lengths]`. The kernel's last axis runs fastest.
 */
export function underKernel(g: ShapedGraph, x: string, window: Window, places: Dims): string[] {
  const padded = g.pad(x, [0, 0, ...window.before], [0, 0, ...window.after]);
  const dims = [...g.dims(padded).slice(0, 2), ...places];
  return kernelPlaces(window.kernel).map((place) => {
    const starts = place.map((k, i) => k * (window.dilations[i] ?? 1));
    const ends = starts.map((start, i) => start + ((places[i] ?? 1) - 1) * (window.strides[i] ?? 1) + 1);
    const isAll = starts.every((n) => n === 0) && g.dims(padded).every((d, i) => d === dims[i]);
    if (isAll) return padded;
    const where = [starts, ends, place.map((_, i) => i + 2), window.strides].map((list) => g.ints(list));
    return g.node('Slice', [padded, ...where], { dims });
  });
}

/** Every place of a kernel, the last axis running fastest. */
function kernelPlaces(kernel: Dims): number[][] {
  return kernel.reduce<number[][]>(
    (places, length) => places.flatMap((place) => range(length).map((k) => [...place, k])),
    [[]],
  );
}
