import { graphBuilder, type GraphBuilder } from '../../onnx/build.ts';
import type { OnnxModel } from '../../onnx/types.ts';
import { randomNumbers } from './random.ts';

export interface SmallConvOptions {
  /** Side of the square input in pixels, a multiple of 4; default 32. */
  size?: number;
  /** Channels of the last stage, which is the length of the features; default 32. */
  channels?: number;
  /** Classes of the classifier at its end; default 10. */
  classes?: number;
  seed?: number;
}

/**
 * A residual network in small, as image classifiers are published: convolutions with frozen batch statistics, a
 * residual block, pooling, a linear classifier. Random weights, the same for the same seed; opset 17.
 * Input `input` `[batch, 3, size, size]`, output `logits` `[batch, classes]`.
 */
export function buildSmallConv(options: SmallConvOptions = {}): OnnxModel {
  const { size = 32, channels = 32, classes = 10, seed = 3 } = options;
  const g = graphBuilder({ name: 'small-conv', opset: 17 });
  const random = randomNumbers(seed);
  const half = channels / 2;
  const pixels = g.input('input', 'float32', ['batch', 3, size, size]);
  const stem = convolution(g, pixels, { from: 3, to: half, kernel: 5, stride: 2, random });
  const pooled = g.node('MaxPool', [stem], {
    attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
  });
  const inner = convolution(g, pooled, { from: half, to: half, kernel: 3, stride: 1, random });
  const residual = g.node('Add', [pooled, inner]);
  const wide = convolution(g, residual, { from: half, to: channels, kernel: 1, stride: 1, random });
  const features = g.node('Flatten', [g.node('GlobalAveragePool', [wide])], { attributes: { axis: 1 } });
  const weight = g.constant(
    Float32Array.from({ length: classes * channels }, () => random() * 0.3),
    [classes, channels],
  );
  const logits = g.node('Gemm', [features, weight, g.constant(new Float32Array(classes))], {
    attributes: { transB: 1 },
  });
  g.output(logits, 'float32', ['batch', classes], 'logits');
  return g.toModel();
}

interface ConvolutionOptions {
  from: number;
  to: number;
  kernel: number;
  stride: number;
  random: () => number;
}

/** Convolution, batch normalisation, ReLU; scaled so that values keep their size (He et al., 2015). */
function convolution(g: GraphBuilder, x: string, options: ConvolutionOptions): string {
  const { from, to, kernel, stride, random } = options;
  const fan = from * kernel * kernel;
  const weight = Float32Array.from({ length: to * fan }, () => random() * Math.sqrt(6 / fan));
  const pad = (kernel - 1) / 2;
  const filtered = g.node('Conv', [x, g.constant(weight, [to, from, kernel, kernel])], {
    attributes: {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    },
  });
  const spread = (middle: number): string =>
    g.constant(Float32Array.from({ length: to }, () => middle + 0.1 * random()));
  const normal = g.node('BatchNormalization', [filtered, spread(1), spread(0), spread(0), spread(1)]);
  return g.node('Relu', [normal]);
}
