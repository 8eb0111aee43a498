import { outputSize, type Preprocessing } from '../image/preprocessing.ts';
import type { ShapedGraph } from './shaped-graph.ts';

export const PIXELS = 'pixels';

/**
 * Puts `[rows, height, width, 3]` pixels, 0 to 255, in the place of a graph's own input: cast, brought in the order
 * `[rows, 3, height, width]`, and (pixel · rescale − mean) / std.
 */
export function addPixelFront(
  g: ShapedGraph,
  input: string,
  options: { rows: number; type: 'uint8' | 'float32'; preprocessing: Preprocessing },
): void {
  const { rows, type, preprocessing } = options;
  const { height, width } = outputSize(preprocessing);
  const { rescale, mean, std } = preprocessing;
  const pixels = g.input(PIXELS, type, [rows, height, width, 3]);
  // Transposed before it is scaled: rows of three are slow to scale on a CPU.
  const planes = g.transpose(g.cast(pixels, 'float32'), [0, 3, 1, 2]);
  const scale = g.constant(
    Float32Array.from(std, (deviation) => rescale / deviation),
    [3, 1, 1],
  );
  const shift = g.constant(
    Float32Array.from(mean, (value, i) => -value / (std[i] ?? 1)),
    [3, 1, 1],
  );
  g.free(input);
  g.node('Add', [g.mul(planes, scale), shift], { dims: [rows, 3, height, width], name: input });
}
