import { ModelError } from '../base/errors.ts';
import { graphBuilder, type GraphBuilder } from './build.ts';
import { allNames, dimsOf, keepOutputs, requiredInputs, standardOpset } from './inspect.ts';
import { DATA_TYPE, dataTypeName, type OnnxModel, type ValueInfo } from './types.ts';

/** `class_token`: token 0 of `[B, tokens, D]`; `as_is`: the output is `[B, D]` already. */
export type Pooling = 'class_token' | 'as_is';

export interface EmbeddingRewrite {
  /** Name of the model's input, `[B, 3, height, width]` float32. */
  input: string;
  width: number;
  height: number;
  /** Pixels become `(pixel · rescale − mean) / std`, a channel at a time. */
  rescale: number;
  mean: readonly [number, number, number];
  std: readonly [number, number, number];
  /** Outputs that will do, the first one that the model has is taken. */
  outputs: readonly { name: string; pooling: Pooling }[];
  /** Fixes the batch in the graph; by default it stays open. */
  batchSize?: number;
  /** False: the pooled output as it is, in place of unit vectors. */
  unitLength?: boolean;
}

export interface RewrittenModel {
  model: OnnxModel;
  /** uint8 `[batch, height, width, 3]`, rows first, RGB: as a decoder gives them. */
  inputName: string;
  /** float32 `[batch, dim]`, each row of length 1 unless it was left as it is. */
  outputName: string;
  /** The output that was taken and how it is pooled. */
  output: string;
  pooling: Pooling;
  /** Vector length where the file states it. */
  dim: number | null;
  /** The batch that the file itself fixes, if any. */
  fixedBatch: number | null;
}

/** As torch's normalize: a zero vector stays zero instead of becoming NaN. */
const NORM_EPSILON = 1e-12;
/** Broadcasting works as used here from this operator set on. */
const MIN_OPSET = 9;
/** From here on weights need not be listed among the inputs. */
const MIN_IR_VERSION = 4;
/** From here on ReduceL2 takes its axes as an input. */
const AXES_AS_INPUT_OPSET = 18;

/**
 * The model with uint8 pixels in and unit vectors out: cast, scale, normalise and transpose in front of its own input,
 * pooling and L2 normalisation behind its output; other outputs, and what only they needed, are gone. New names get a
 * prefix that the model does not use.
 * @throws ModelError `model_mismatch` that names the input or output that differs from what was expected.
 */
export function toEmbeddingModel(model: OnnxModel, rewrite: EmbeddingRewrite): RewrittenModel {
  const opset = standardOpset(model);
  if (opset < MIN_OPSET) {
    throw mismatch(
      `it is written for operator set ${String(opset)}, ${String(MIN_OPSET)} or newer is needed: export it anew`,
    );
  }
  const chosen = chooseOutput(model, rewrite);
  const graph = keepOutputs(model.graph, [chosen.value.name]);
  const input = onlyInput(requiredInputs(graph), rewrite);
  const fixedBatch = checkInput(input, rewrite);

  const names = allNames(model.graph);
  let prefix = 'embed/';
  while (Array.from(names).some((name) => name.startsWith(prefix))) prefix = `_${prefix}`;
  const batch = rewrite.batchSize ?? fixedBatch ?? `${prefix}batch`;

  const front = graphBuilder({ name: graph.name, opset, prefix });
  const pixels = front.input(`${prefix}pixels`, 'uint8', [batch, rewrite.height, rewrite.width, 3]);
  addFront(front, pixels, input.name, rewrite);

  const behind = graphBuilder({
    name: graph.name,
    opset,
    prefix: `${prefix}out_`,
    taken: [chosen.value.name],
  });
  const dim = lastDim(chosen.value);
  const pooled = addPooling(behind, chosen.value, chosen.pooling);
  const result = rewrite.unitLength === false ? pooled : addUnitLength(behind, pooled, opset);
  behind.output(result, 'float32', [batch, dim ?? `${prefix}dim`], `${prefix}vectors`);

  const before = front.toGraph();
  const after = behind.toGraph();
  return {
    model: {
      ...model,
      irVersion: Math.max(model.irVersion, MIN_IR_VERSION),
      graph: {
        ...graph,
        nodes: [...before.nodes, ...graph.nodes, ...after.nodes],
        initializers: [...before.initializers, ...graph.initializers, ...after.initializers],
        // Older files list their weights among the inputs, which keeps the runtime from folding them.
        inputs: before.inputs,
        outputs: after.outputs,
      },
    },
    inputName: pixels,
    outputName: `${prefix}vectors`,
    output: chosen.value.name,
    pooling: chosen.pooling,
    dim,
    fixedBatch,
  };
}

function chooseOutput(model: OnnxModel, rewrite: EmbeddingRewrite): { value: ValueInfo; pooling: Pooling } {
  const wanted = rewrite.outputs.find((output) =>
    model.graph.outputs.some((value) => value.name === output.name),
  );
  const value = model.graph.outputs.find((candidate) => candidate.name === wanted?.name);
  if (wanted === undefined || value === undefined) {
    const names = rewrite.outputs.map((output) => `'${output.name}'`).join(' or ');
    throw mismatch(`it has no output ${names}; its outputs are ${list(model.graph.outputs)}`);
  }
  const type = value.type?.tensorType?.elemType ?? 0;
  if (type !== DATA_TYPE.float32 && type !== DATA_TYPE.float16) {
    throw mismatch(`its output '${value.name}' is ${dataTypeName(type)}, expected float32`);
  }
  const rank = dimsOf(value)?.length;
  const expected = wanted.pooling === 'class_token' ? 3 : 2;
  if (rank !== undefined && rank !== expected) {
    const meaning = expected === 3 ? '[batch, tokens, length]' : '[batch, length]';
    throw mismatch(`its output '${value.name}' has ${String(rank)} dimensions, expected ${meaning}`);
  }
  return { value, pooling: wanted.pooling };
}

function onlyInput(inputs: readonly ValueInfo[], rewrite: EmbeddingRewrite): ValueInfo {
  const input = inputs.find((candidate) => candidate.name === rewrite.input);
  if (input === undefined)
    throw mismatch(`it has no input '${rewrite.input}'; its inputs are ${list(inputs)}`);
  const others = inputs.filter((candidate) => candidate !== input);
  if (others.length > 0) {
    throw mismatch(`its output also needs ${list(others)}: take a file that holds the image model alone`);
  }
  return input;
}

/** The batch that the file fixes, or null. */
function checkInput(input: ValueInfo, rewrite: EmbeddingRewrite): number | null {
  const type = input.type?.tensorType?.elemType ?? 0;
  if (type === DATA_TYPE.float16) {
    throw mismatch(
      `its input '${input.name}' is float16, which ONNX Runtime cannot take from Node 24 on; ` +
        'take a file whose inputs are float32 (its weights may be float16)',
    );
  }
  if (type !== DATA_TYPE.float32) {
    throw mismatch(`its input '${input.name}' is ${dataTypeName(type)}, expected float32`);
  }
  const dims = dimsOf(input);
  if (dims === undefined) return null;
  const expected = [null, 3, rewrite.height, rewrite.width];
  const fits =
    dims.length === expected.length &&
    expected.every((d, i) => d === null || typeof dims[i] !== 'number' || dims[i] === d);
  if (!fits) {
    const shown = dims.map((d) => String(d ?? '?')).join(', ');
    throw mismatch(
      `its input '${input.name}' is [${shown}], but the preprocessing gives ` +
        `[batch, 3, ${String(rewrite.height)}, ${String(rewrite.width)}]`,
    );
  }
  const batch = dims[0];
  if (typeof batch !== 'number' || batch < 1) return null;
  if (rewrite.batchSize !== undefined && rewrite.batchSize !== batch) {
    throw mismatch(`it is exported for batches of ${String(batch)} only: export it with an open batch`);
  }
  return batch;
}

/** uint8 NHWC to the model's float32 NCHW, under the model's own input name, so that its nodes stay as they are. */
function addFront(g: GraphBuilder, pixels: string, name: string, rewrite: EmbeddingRewrite): void {
  const scale = rewrite.std.map((std) => rewrite.rescale / std);
  const shift = rewrite.mean.map((mean, i) => -mean / (rewrite.std[i] ?? 1));
  const floats = g.node('Cast', [pixels], { attributes: { to: DATA_TYPE.float32 } });
  // Transposed before it is scaled: on a CPU a third of the time of doing it after, as rows of three are slow to scale.
  const planes = g.node('Transpose', [floats], { attributes: { perm: [0, 3, 1, 2] } });
  const scaled = g.node('Mul', [planes, g.floats(scale, [3, 1, 1])]);
  g.node('Add', [scaled, g.floats(shift, [3, 1, 1])], { name });
}

function addPooling(g: GraphBuilder, value: ValueInfo, pooling: Pooling): string {
  const token =
    pooling === 'class_token'
      ? g.node('Gather', [value.name, g.ints([0], [])], { attributes: { axis: 1 } })
      : value.name;
  if (value.type?.tensorType?.elemType === DATA_TYPE.float32) return token;
  return g.node('Cast', [token], { attributes: { to: DATA_TYPE.float32 } });
}

function addUnitLength(g: GraphBuilder, vectors: string, opset: number): string {
  const norm =
    opset >= AXES_AS_INPUT_OPSET
      ? g.node('ReduceL2', [vectors, g.ints([-1])], { attributes: { keepdims: 1 } })
      : g.node('ReduceL2', [vectors], { attributes: { axes: [-1], keepdims: 1 } });
  return g.node('Div', [vectors, g.node('Max', [norm, g.floats([NORM_EPSILON], [])])]);
}

function lastDim(value: ValueInfo): number | null {
  const last = dimsOf(value)?.at(-1);
  return typeof last === 'number' ? last : null;
}

function list(values: readonly ValueInfo[]): string {
  return values.length === 0 ? 'none' : values.map((value) => `'${value.name}'`).join(', ');
}

function mismatch(why: string): ModelError {
  return new ModelError('model_mismatch', `the model does not fit: ${why}`);
}
