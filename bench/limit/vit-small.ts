import { float, graphBuilder, type GraphBuilder } from '../../src/onnx/build.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import type { Preprocessing } from '../../src/image/preprocessing.ts';
import { randomNumbers } from '../../src/model/small/random.ts';

/** The published measures of ViT-S/14: 22 million weights. */
const DIM = 384;
const LAYERS = 12;
const HEADS = 6;
const MLP = 4 * DIM;
const PATCH_PX = 14;
const SIDE_PX = 224;
const TOKENS = 1 + (SIDE_PX / PATCH_PX) ** 2;
/** Standard deviations of about what transformers start their training with. */
const SPREAD = 0.02;

/** As DINOv2's `preprocessor_config.json` has it. */
export const vitPreprocessing: Preprocessing = {
  resize: { kind: 'shortest_edge', size: 256 },
  resample: 'bicubic',
  crop: { width: SIDE_PX, height: SIDE_PX },
  rescale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  rescaleBeforeResize: false,
  orient: true,
  alpha: 'drop',
};

/**
 * A vision transformer of ViT-S/14's size with random weights, as exporters write them: 12 layers, 6 heads, 257 tokens
 * of 384, GELU by Erf. Input `pixel_values` `[batch, 3, 224, 224]`; outputs `last_hidden_state` `[batch, 257, 384]` and
 * `pooler_output` `[batch, 384]`.
 */
export function buildVitSmall(seed = 1): OnnxModel {
  const g = graphBuilder({ name: 'vit-small', opset: 17 });
  const layer = layers(g, seed);
  const pixels = g.input('pixel_values', 'float32', ['batch_size', 3, SIDE_PX, SIDE_PX]);
  let tokens = embedPatches(g, layer, pixels);
  for (let i = 0; i < LAYERS; i += 1) {
    tokens = g.node('Add', [tokens, attention(g, layer, layer.norm(tokens))]);
    tokens = g.node('Add', [tokens, perceptron(g, layer, layer.norm(tokens))]);
  }
  const last = layer.norm(tokens);
  g.output(last, 'float32', ['batch_size', TOKENS, DIM], 'last_hidden_state');
  const pooled = g.node('Gather', [last, g.ints([0], [])], { attributes: { axis: 1 } });
  g.output(pooled, 'float32', ['batch_size', DIM], 'pooler_output');
  return g.toModel();
}

interface Layers {
  weights: (dims: readonly number[]) => string;
  linear: (value: string, from: number, to: number) => string;
  norm: (value: string) => string;
}

function layers(g: GraphBuilder, seed: number): Layers {
  const random = randomNumbers(seed);
  const weights = (dims: readonly number[]): string => {
    const length = dims.reduce((a, b) => a * b, 1);
    return g.constant(
      Float32Array.from({ length }, () => random() * SPREAD * Math.sqrt(3)),
      dims,
    );
  };
  return {
    weights,
    linear: (value, from, to) =>
      g.node('Add', [g.node('MatMul', [value, weights([from, to])]), weights([to])]),
    norm: (value) => {
      const [scale, bias] = [g.constant(new Float32Array(DIM).fill(1)), g.constant(new Float32Array(DIM))];
      return g.node('LayerNormalization', [value, scale, bias], {
        attributes: { axis: -1, epsilon: float(1e-6) },
      });
    },
  };
}

function embedPatches(g: GraphBuilder, { weights }: Layers, pixels: string): string {
  const strides = { kernel_shape: [PATCH_PX, PATCH_PX], strides: [PATCH_PX, PATCH_PX] };
  const kernel = [weights([DIM, 3, PATCH_PX, PATCH_PX]), weights([DIM])];
  const grid = g.node('Conv', [pixels, ...kernel], { attributes: strides });
  const flat = g.node('Reshape', [grid, g.ints([0, DIM, -1])]);
  const patches = g.node('Transpose', [flat], { attributes: { perm: [0, 2, 1] } });
  const rows = g.node('Slice', [g.node('Shape', [pixels]), g.ints([0]), g.ints([1])]);
  const shape = g.node('Concat', [rows, g.ints([1, DIM])], { attributes: { axis: 0 } });
  const classToken = g.node('Expand', [weights([1, 1, DIM]), shape]);
  const all = g.node('Concat', [classToken, patches], { attributes: { axis: 1 } });
  return g.node('Add', [all, weights([1, TOKENS, DIM])]);
}

function attention(g: GraphBuilder, { linear }: Layers, tokens: string): string {
  const heads = (): string =>
    g.node('Reshape', [linear(tokens, DIM, DIM), g.ints([0, 0, HEADS, DIM / HEADS])]);
  const turned = (perm: number[]): string => g.node('Transpose', [heads()], { attributes: { perm } });
  const [query, key, value] = [turned([0, 2, 1, 3]), turned([0, 2, 3, 1]), turned([0, 2, 1, 3])];
  const scale = g.floats([(DIM / HEADS) ** -0.5], []);
  const scores = g.node('Mul', [g.node('MatMul', [query, key]), scale]);
  const shares = g.node('Softmax', [scores], { attributes: { axis: -1 } });
  const mixed = g.node('Transpose', [g.node('MatMul', [shares, value])], {
    attributes: { perm: [0, 2, 1, 3] },
  });
  return linear(g.node('Reshape', [mixed, g.ints([0, 0, DIM])]), DIM, DIM);
}

function perceptron(g: GraphBuilder, { linear }: Layers, tokens: string): string {
  const hidden = linear(tokens, DIM, MLP);
  const erf = g.node('Erf', [g.node('Div', [hidden, g.floats([Math.SQRT2], [])])]);
  const gelu = g.node('Mul', [
    g.node('Mul', [hidden, g.node('Add', [erf, g.floats([1], [])])]),
    g.floats([0.5], []),
  ]);
  return linear(gelu, MLP, DIM);
}
