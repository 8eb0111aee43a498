import { intOf, intsOf } from '../../onnx/read-attribute.ts';
import { lengthAt, range, sizeOf, type Dims } from '../dims.ts';
import type { Rule } from '../rule.ts';
import { leftOver, windowOf, type Window } from '../convolution/window.ts';

/** To where each maximum came from; a place that won in several windows gets the sum. */
const maxPool: Rule = ({ g, node, dy, input }) => {
  const dims = g.dims(input(0));
  const places = g.extraOutput(node, 1, { type: 'int64', dims: g.dims(dy) });
  const [from, to] = [sizeOf(g.dims(dy)), sizeOf(dims)];
  const scattered = g.node(
    'ScatterElements',
    [g.zeros([to], g.type(dy)), g.reshape(places, [from]), g.reshape(dy, [from])],
    { dims: [to], attributes: { axis: 0, reduction: 'add' } },
  );
  return [g.reshape(scattered, dims)];
};

/** Each element gets its share from every window that it lay under: a transposed convolution with ones. */
const averagePool: Rule = ({ g, node, dy, input }) => {
  const spatial = {
    input: g.dims(input(0)).slice(2),
    output: g.dims(dy).slice(2),
    kernel: intsOf(node, 'kernel_shape') ?? [],
  };
  const window = windowOf(node, spatial);
  const channels = lengthAt(g.dims(input(0)), 1);
  const counts = countsUnderWindows(window, spatial, intOf(node, 'count_include_pad') === 1);
  const shares = g.div(dy, g.constant(counts, [1, 1, ...spatial.output]));
  const ones = g.constant(new Float32Array(channels * sizeOf(window.kernel)).fill(1), [
    channels,
    1,
    ...window.kernel,
  ]);
  return [
    g.node('ConvTranspose', [shares, ones], {
      dims: g.dims(input(0)),
      attributes: {
        strides: window.strides,
        dilations: window.dilations,
        pads: [...window.before, ...window.after],
        output_padding: leftOver(window, spatial.input, spatial.output),
        group: channels,
      },
    }),
  ];
};

/** By how many elements each window divides: those of the input, with or without the zeros around it. */
function countsUnderWindows(
  window: Window,
  spatial: { input: Dims; output: Dims },
  withPads: boolean,
): Float32Array {
  const alongAxis = spatial.output.map((places, i) =>
    range(places).map((place) => {
      const first = place * (window.strides[i] ?? 1) - (window.before[i] ?? 0);
      const taps = range(window.kernel[i] ?? 1).map((k) => first + k * (window.dilations[i] ?? 1));
      const length = spatial.input[i] ?? 1;
      const padded = length + (window.after[i] ?? 0) - (window.beyond[i] ?? 0);
      const [low, high] = withPads ? [-(window.before[i] ?? 0), padded] : [0, length];
      return taps.filter((at) => at >= low && at < high).length;
    }),
  );
  return Float32Array.from(
    alongAxis.reduce(
      (products, counts) => products.flatMap((product) => counts.map((n) => product * n)),
      [1],
    ),
  );
}

export const POOLING_RULES: Readonly<Record<string, Rule>> = { MaxPool: maxPool, AveragePool: averagePool };
