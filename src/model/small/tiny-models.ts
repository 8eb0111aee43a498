import { float, graphBuilder, type GraphBuilder } from '../../onnx/build.ts';
import type { OnnxModel } from '../../onnx/types.ts';
import { randomNumbers } from './random.ts';

export interface TinyOptions {
  /** Side of the square input in pixels, a multiple of 8; default 32. */
  size?: number;
  /** Vector length; default 16. */
  dim?: number;
  seed?: number;
  opset?: number;
  /** A fixed batch; open by default. */
  batch?: number;
}

const PATCH_PX = 8;

/**
 * A vision transformer in small, with random weights: patches, class token, positions, one block of attention and MLP.
 * Input `pixel_values` `[batch, 3, size, size]`; outputs `last_hidden_state` `[batch, 1 + patches, dim]` and
 * `pooler_output` `[batch, dim]`, named as DINOv2's are.
 */
export function buildTinyVit(options: TinyOptions = {}): OnnxModel {
  const { size = 32, dim = 16, seed = 1, opset = 17, batch = 'batch_size' } = options;
  const patches = (size / PATCH_PX) ** 2;
  const g = graphBuilder({ name: 'tiny-vit', opset });
  const weights = weightMaker(g, seed);

  const pixels = g.input('pixel_values', 'float32', [batch, 3, size, size]);
  const strides = { kernel_shape: [PATCH_PX, PATCH_PX], strides: [PATCH_PX, PATCH_PX] };
  const grid = g.node('Conv', [pixels, weights([dim, 3, PATCH_PX, PATCH_PX], 0.1)], { attributes: strides });
  const flat = g.node('Reshape', [grid, g.ints([0, dim, -1])]);
  const tokens = g.node('Transpose', [flat], { attributes: { perm: [0, 2, 1] } });
  const rows = g.node('Slice', [g.node('Shape', [pixels]), g.ints([0]), g.ints([1])]);
  const classShape = g.node('Concat', [rows, g.ints([1, dim])], { attributes: { axis: 0 } });
  const classToken = g.node('Expand', [weights([1, 1, dim], 1), classShape]);
  const all = g.node('Concat', [classToken, tokens], { attributes: { axis: 1 } });
  const placed = g.node('Add', [all, weights([1, patches + 1, dim], 0.5)]);

  const attended = g.node('Add', [placed, attention(g, weights, norm(g, placed, dim), dim)]);
  const hidden = g.node('MatMul', [norm(g, attended, dim), weights([dim, dim * 2], 0.3)]);
  const mlp = g.node('MatMul', [g.node('Relu', [hidden]), weights([dim * 2, dim], 0.3)]);
  const last = norm(g, g.node('Add', [attended, mlp]), dim);
  g.output(last, 'float32', [batch, patches + 1, dim], 'last_hidden_state');
  const pooled = g.node('Gather', [last, g.ints([0], [])], { attributes: { axis: 1 } });
  g.output(pooled, 'float32', [batch, dim], 'pooler_output');
  return g.toModel();
}

/**
 * CLIP's two towers in small, with random weights: `pixel_values` to `image_embeds`, not normalised, and, with `text`,
 * `input_ids` to `text_embeds`.
 */
export function buildTinyClip(options: TinyOptions & { text?: boolean } = {}): OnnxModel {
  const { size = 32, dim = 12, seed = 2, opset = 17, batch = 'batch_size', text = false } = options;
  const g = graphBuilder({ name: 'tiny-clip', opset });
  const weights = weightMaker(g, seed);
  const channels = 8;
  const pixels = g.input('pixel_values', 'float32', [batch, 3, size, size]);
  const strides = { kernel_shape: [PATCH_PX, PATCH_PX], strides: [PATCH_PX, PATCH_PX] };
  const grid = g.node('Conv', [pixels, weights([channels, 3, PATCH_PX, PATCH_PX], 0.1)], {
    attributes: strides,
  });
  const flat = g.node('Flatten', [g.node('Tanh', [grid])], { attributes: { axis: 1 } });
  const features = channels * (size / PATCH_PX) ** 2;
  g.output(g.node('MatMul', [flat, weights([features, dim], 0.3)]), 'float32', [batch, dim], 'image_embeds');
  if (text) {
    const ids = g.input('input_ids', 'int64', ['text_batch', 4]);
    const words = g.node('Gather', [weights([32, dim], 1), ids], { attributes: { axis: 0 } });
    const sentence = g.node('MatMul', [
      g.node('Transpose', [words], { attributes: { perm: [0, 2, 1] } }),
      weights([4, 1], 1),
    ]);
    g.output(
      g.node('Flatten', [sentence], { attributes: { axis: 1 } }),
      'float32',
      ['text_batch', dim],
      'text_embeds',
    );
  }
  return g.toModel();
}

type Weights = (dims: readonly number[], scale: number) => string;

function weightMaker(g: GraphBuilder, seed: number): Weights {
  const random = randomNumbers(seed);
  return (dims, scale) => {
    const length = dims.reduce((a, b) => a * b, 1);
    return g.constant(
      Float32Array.from({ length }, () => random() * scale),
      dims,
    );
  };
}

function norm(g: GraphBuilder, value: string, dim: number): string {
  const [scale, bias] = [g.constant(new Float32Array(dim).fill(1)), g.constant(new Float32Array(dim))];
  return g.node('LayerNormalization', [value, scale, bias], {
    attributes: { axis: -1, epsilon: float(1e-6) },
  });
}

/** One head. */
function attention(g: GraphBuilder, weights: Weights, tokens: string, dim: number): string {
  const [query, key, value] = [0, 1, 2].map(() => g.node('MatMul', [tokens, weights([dim, dim], 0.5)]));
  const turned = g.node('Transpose', [key ?? ''], { attributes: { perm: [0, 2, 1] } });
  const scores = g.node('Mul', [g.node('MatMul', [query ?? '', turned]), g.floats([dim ** -0.5], [])]);
  const shares = g.node('Softmax', [scores], { attributes: { axis: -1 } });
  return g.node('MatMul', [shares, value ?? '']);
}
