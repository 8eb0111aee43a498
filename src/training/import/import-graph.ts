import { basename } from 'node:path';

import { ModelError } from '../../base/errors.ts';
import { foldGraph, type InferredValue } from '../../model/fold-graph.ts';
import { valueInfo } from '../../onnx/build.ts';
import { readModel, writeModel } from '../../onnx/codec.ts';
import { keepOutputs, standardOpset } from '../../onnx/inspect.ts';
import { loadModel } from '../../onnx/load-model.ts';
import { floatValues } from '../../onnx/tensor-values.ts';
import { DATA_TYPE, type Graph, type OnnxModel, type Tensor } from '../../onnx/types.ts';
import type { Dims } from '../dims.ts';
import type { ValueShape } from '../graph-core.ts';
import { shapedGraph, type ShapedGraph } from '../shaped-graph.ts';
import { fixLengths } from './fix-lengths.ts';
import { fuseGelu } from './fuse-gelu.ts';
import { fuseLayerNorm } from './fuse-layer-norm.ts';
import { modernised } from './modernise.ts';
import { trainable } from './parameters.ts';
import { isWeight, prepareModel } from './prepare.ts';
import { resizeAsProducts } from './resize.ts';
import { refuseUntrainable, refuseVendors } from './refuse.ts';

export interface ImportOptions {
  /** The ONNX file. */
  path: string;
  /** Training graphs have one batch size; the last batch is padded. */
  batchSize: number;
  /** The whole input's lengths, `[batch, 3, height, width]`; needed where the file leaves more than the batch open. */
  inputDims?: Dims;
  /** The output to train, by default the first one. Others, and what only they needed, are left out. */
  output?: string;
}

/** A weight that can be trained. */
export interface Parameter {
  /** Its value's name in the graph; also its initializer's in `prepareModel` of the file, where export puts it back. */
  name: string;
  dims: Dims;
  /** As the file has them, rows first. A copy a call. */
  readonly values: () => Float32Array;
}

export interface ImportedGraph {
  /** Weights, also those that can be trained, are initializers: `free` one and give its name anew to train it. */
  graph: ShapedGraph;
  /** Name of the pictures' input, float32 `dims(input)`. */
  input: string;
  /** Name of the output, which is the graph's only one. */
  output: string;
  /** In the order in which the graph reads them. */
  parameters: Parameter[];
}

/**
 * Reads an ONNX file as a graph that can be trained: the batch fixed, shape arithmetic computed, every value's lengths
 * known, operators as one operator set has them, weights untied. Nothing of it runs.
 * @throws ModelError `model_missing`, `model_unreadable`, `model_not_trainable`, `model_mismatch`, `model_load_failed`,
 * `shape_unknown`.
 */
export async function importGraph(options: ImportOptions): Promise<ImportedGraph> {
  const { path } = options;
  const original = prepareModel(await loadModel(path));
  refuseUntrainable(original, path);
  const output = chooseOutput(original, options);
  const { graph, input, dims } = fixLengths(keepOutputs(original.graph, [output]), options);
  const weights = graph.initializers.filter((tensor) => isWeight(tensor) && !isSetting(graph, tensor));
  const folded = await foldGraph(writeModel({ ...original, graph: hidden(graph, weights) }).slice());
  const model = readModel(folded.model);
  refuseVendors(model, path);

  const result = shapedGraph(basename(path));
  result.input(input, 'float32', dims);
  addInitializers(result, [...weights, ...model.graph.initializers]);
  addNodes(result, model, shapesOf(folded.values, path));
  result.output(output);
  fuseLayerNorm(result);
  fuseGelu(result);
  result.prune();
  const names = new Set(trainable(result, weights, output));
  const reads = result.ordered().flatMap((node) => node.inputs.filter((name) => names.has(name)));
  const parameters = [...new Set(reads)].map((name) => parameterOf(result, name));
  return { graph: result, input, output, parameters };
}

function chooseOutput(model: OnnxModel, { path, output }: ImportOptions): string {
  const names = model.graph.outputs.map(({ name }) => name);
  const [name] = output === undefined ? names : names.filter((candidate) => candidate === output);
  if (name !== undefined) return name;
  throw new ModelError(
    'model_mismatch',
    `${path} has no output '${output ?? ''}'; its outputs are ${names.map((n) => `'${n}'`).join(', ')}`,
  );
}

/** Sizes and scales of a Resize are no weights, though they are floats. */
function isSetting(graph: Graph, { name = '' }: Tensor): boolean {
  return graph.nodes.some((node) => node.opType === 'Resize' && node.inputs.slice(1).includes(name));
}

/**
 * Weights as inputs, so that folding touches shape arithmetic alone: with a fixed batch it would otherwise merge an
 * expanded class token into one weight a sample.
 */
function hidden(graph: Graph, weights: readonly Tensor[]): Graph {
  const gone = new Set(weights);
  return {
    ...graph,
    initializers: graph.initializers.filter((tensor) => !gone.has(tensor)),
    inputs: [...graph.inputs, ...weights.map(({ name = '', dims }) => valueInfo(name, 'float32', dims))],
  };
}

function addInitializers(graph: ShapedGraph, tensors: readonly Tensor[]): void {
  for (const tensor of tensors) graph.initializer(tensor, tensor.name ?? '');
}

function addNodes(graph: ShapedGraph, model: OnnxModel, shapes: ReadonlyMap<string, ValueShape>): void {
  const opset = standardOpset(model);
  for (const node of model.graph.nodes) {
    const modern = modernised(node, opset, graph);
    const to = shapes.get(node.outputs[0] ?? '')?.dims;
    const resized =
      node.opType === 'Resize' && to !== undefined ? resizeAsProducts(modern, graph, to) : undefined;
    graph.insert(
      resized ?? modern,
      modern.outputs.map((name) => shapes.get(name)),
    );
  }
}

function shapesOf(values: readonly InferredValue[], path: string): Map<string, ValueShape> {
  const shapes = new Map<string, ValueShape>();
  for (const { name, type, dims } of values) {
    const known = dims.filter((d) => d !== null);
    if (known.length === dims.length && isDataType(type)) shapes.set(name, { type, dims: known });
    else if (type.includes('float')) throw unknownShape(name, path);
  }
  return shapes;
}

function isDataType(type: string): type is keyof typeof DATA_TYPE {
  return type in DATA_TYPE;
}

function unknownShape(name: string, path: string): ModelError {
  return new ModelError(
    'shape_unknown',
    `${path} cannot be trained: the lengths of '${name}' are not known before it runs; export it with only the batch open`,
  );
}

function parameterOf(graph: ShapedGraph, name: string): Parameter {
  const tensor = graph.tensor(name);
  const values = (): Float32Array => (tensor === undefined ? new Float32Array(0) : floatValues(tensor));
  return { name, dims: graph.dims(name), values };
}
