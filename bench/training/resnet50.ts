import { randomNumbers } from '../../src/model/small/random.ts';
import { graphBuilder, type GraphBuilder } from '../../src/onnx/build.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';

/** Blocks and inner channels of the four stages (He et al., 2016); a block's output has four times its inner channels. */
const STAGES = [
  { blocks: 3, inner: 64 },
  { blocks: 4, inner: 128 },
  { blocks: 6, inner: 256 },
  { blocks: 3, inner: 512 },
];
const EXPANSION = 4;
const SIDE_PX = 224;
const CLASSES = 1000;

type Convolve = (x: string, options: { from: number; to: number; kernel: number; stride: number }) => string;

/**
 * A network of ResNet-50's size with random weights, as torch exports it for inference: batch statistics folded into
 * the convolutions. Input `input` `[batch, 3, 224, 224]`, output `logits` `[batch, 1000]`; 25.5 million weights.
 */
export function buildResNet50(seed = 1): OnnxModel {
  const g = graphBuilder({ name: 'resnet50', opset: 17 });
  const random = randomNumbers(seed);
  const convolve: Convolve = (x, { from, to, kernel, stride }) => {
    const fan = from * kernel * kernel;
    // Half of what keeps the values' size, since residuals add up.
    const weight = Float32Array.from({ length: to * fan }, () => random() * Math.sqrt(1.5 / fan));
    const pad = (kernel - 1) / 2;
    return g.node(
      'Conv',
      [x, g.constant(weight, [to, from, kernel, kernel]), g.constant(new Float32Array(to))],
      {
        attributes: {
          kernel_shape: [kernel, kernel],
          strides: [stride, stride],
          pads: [pad, pad, pad, pad],
          dilations: [1, 1],
          group: 1,
        },
      },
    );
  };
  const pixels = g.input('input', 'float32', ['batch', 3, SIDE_PX, SIDE_PX]);
  const stem = g.node('Relu', [convolve(pixels, { from: 3, to: 64, kernel: 7, stride: 2 })]);
  let x = g.node('MaxPool', [stem], {
    attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
  });
  let from = 64;
  STAGES.forEach(({ blocks, inner }, stage) => {
    for (let i = 0; i < blocks; i += 1) {
      const stride = i === 0 && stage > 0 ? 2 : 1;
      x = block(g, convolve, x, { from, inner, stride });
      from = inner * EXPANSION;
    }
  });
  const features = g.node('Flatten', [g.node('GlobalAveragePool', [x])], { attributes: { axis: 1 } });
  const weight = g.constant(
    Float32Array.from({ length: CLASSES * from }, () => random() * 0.05),
    [CLASSES, from],
  );
  const logits = g.node('Gemm', [features, weight, g.constant(new Float32Array(CLASSES))], {
    attributes: { transB: 1 },
  });
  g.output(logits, 'float32', ['batch', CLASSES], 'logits');
  return g.toModel();
}

function block(
  g: GraphBuilder,
  convolve: Convolve,
  x: string,
  { from, inner, stride }: { from: number; inner: number; stride: number },
): string {
  const to = inner * EXPANSION;
  const narrow = g.node('Relu', [convolve(x, { from, to: inner, kernel: 1, stride: 1 })]);
  const middle = g.node('Relu', [convolve(narrow, { from: inner, to: inner, kernel: 3, stride })]);
  const wide = convolve(middle, { from: inner, to, kernel: 1, stride: 1 });
  const shortcut = from === to && stride === 1 ? x : convolve(x, { from, to, kernel: 1, stride });
  return g.node('Relu', [g.node('Add', [wide, shortcut])]);
}
