import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { ModelError } from '../base/errors.ts';
import { readModel } from '../onnx/codec.ts';
import { externalLocations } from '../onnx/external.ts';
import { keepOutputs, requiredInputs } from '../onnx/inspect.ts';
import { loadModel } from '../onnx/load-model.ts';
import { DATA_TYPE, type Node, type OnnxModel, type ValueInfo } from '../onnx/types.ts';
import { sizeOf } from './dims.ts';
import { isWeight, prepareModel } from './import/prepare.ts';
import type { BaseModel, FeatureSource } from './trainer.ts';
import { writeModelFiles } from './write-model.ts';

/** The part of a file that gives features. */
export interface Backbone {
  input: string;
  output: string;
  /** `class_token`: features are token 0 of `[rows, tokens, length]`; `as_is`: the output is `[rows, length]`. */
  pooling: 'class_token' | 'as_is';
  /** Did the file keep weights in files beside it? */
  isExternal: boolean;
}

/** How folders begin that end with their trainer; a process that was killed leaves them. */
export const PASSING_FOLDER = 'gpu-handlers-training-';

/** From here on weights need not be listed among the inputs. */
const MIN_IR_VERSION = 4;

/** A backbone as a file on the disk; disposing of it removes the file. */
export interface PlacedBackbone extends Backbone, AsyncDisposable {
  /** The file: weights untied, `output` its only output. */
  path: string;
  /** The file's own folder, for passing files. */
  folder: string;
  /** How many numbers its weights are. */
  weights: number;
}

/**
 * The features' part of a file, in a file of its own: import and export both start from it, so that a name means the
 * same weight in both.
 * @throws ModelError `model_mismatch` where the file has no such output, or ends in no linear classifier.
 */
export async function placeBackbone(
  base: BaseModel,
  features: FeatureSource,
  parent = tmpdir(),
): Promise<PlacedBackbone> {
  const { model, ...backbone } = await readBackbone(base, features);
  const folder = await mkdtemp(join(parent, PASSING_FOLDER));
  const dispose = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const name = base.folder === null ? `${base.name}.onnx` : basename(base.where);
    const [path = ''] = await writeModelFiles(join(folder, name), model);
    const weights = model.graph.initializers
      .filter(isWeight)
      .reduce((sum, { dims }) => sum + sizeOf(dims), 0);
    return { ...backbone, path, folder, weights, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function readBackbone(
  base: BaseModel,
  features: FeatureSource,
): Promise<Backbone & { model: OnnxModel }> {
  const isExternal = externalLocations(readModel(base.bytes)).length > 0;
  const original = prepareModel(base.folder === null ? readModel(base.bytes) : await loadModel(base.where));
  const { output, pooling } =
    features.kind === 'output'
      ? chooseOutput(original, base, features.outputs)
      : { output: beforeClassifier(original, base), pooling: 'as_is' as const };
  const there = original.graph.outputs.find(({ name }) => name === output);
  const type = { tensorType: { elemType: DATA_TYPE.float32 } };
  const outputs: ValueInfo[] = [there ?? { name: output, type, metadata: [] }];
  const graph = keepOutputs({ ...original.graph, outputs }, [output]);
  const [input, ...others] = requiredInputs(graph);
  if (input === undefined || others.length > 0) {
    throw mismatch(base, 'its features must depend on one input, the pictures');
  }
  return {
    model: {
      ...original,
      irVersion: Math.max(original.irVersion, MIN_IR_VERSION),
      graph: { ...graph, inputs: [input] },
    },
    input: input.name,
    output,
    pooling,
    isExternal,
  };
}

function chooseOutput(
  model: OnnxModel,
  base: BaseModel,
  wanted: Extract<FeatureSource, { kind: 'output' }>['outputs'],
): { output: string; pooling: Backbone['pooling'] } {
  const there = new Set(model.graph.outputs.map(({ name }) => name));
  const found = wanted.find(({ name }) => there.has(name));
  if (found !== undefined) return { output: found.name, pooling: found.pooling };
  const names = wanted.map(({ name }) => `'${name}'`).join(' or ');
  throw mismatch(base, `it has no output ${names}; its outputs are ${[...there].join(', ')}`);
}

/** What may stand between the last linear layer and the output. */
const HARMLESS = new Set(['Identity', 'Softmax', 'LogSoftmax', 'Sigmoid', 'Flatten']);

/** What the last linear layer reads: Gemm, or Add of a MatMul and a bias, in front of the first output. */
function beforeClassifier(model: OnnxModel, base: BaseModel): string {
  const makers = new Map(
    model.graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)),
  );
  const weights = new Set(model.graph.initializers.map(({ name = '' }) => name));
  const makerOf = (name: string | undefined): Node | undefined => makers.get(name ?? '');
  let node = makerOf(model.graph.outputs[0]?.name);
  while (node !== undefined && HARMLESS.has(node.opType)) node = makerOf(node.inputs[0]);
  if (node?.opType === 'Add') {
    const product = node.inputs.find((name) => makerOf(name)?.opType === 'MatMul');
    if (node.inputs.some((name) => weights.has(name))) node = makerOf(product);
  }
  const [x = '', weight = ''] = node?.inputs ?? [];
  const isLinear = node?.opType === 'Gemm' || node?.opType === 'MatMul';
  if (isLinear && weights.has(weight) && makers.has(x)) return x;
  throw mismatch(
    base,
    'it does not end in a linear classifier (Gemm, or MatMul and Add); say which of its outputs holds the features',
  );
}

function mismatch(base: BaseModel, why: string): ModelError {
  return new ModelError('model_mismatch', `${base.name} (${base.where}) does not fit: ${why}`);
}
