import { basename } from 'node:path';

import { ModelError } from '../base/errors.ts';
import { outputSize, type Preprocessing } from '../image/preprocessing.ts';
import type { PlacedBackbone } from './backbone.ts';
import { misfit, show } from './dims.ts';
import { importGraph, type ImportedGraph } from './import/import-graph.ts';
import { placeParameters, type PlacedParameter } from './layers.ts';
import { addLora, findLoraLayers, loraParameters, type LoraLayer } from './lora.ts';
import { addPixelFront, PIXELS } from './pixels.ts';
import { shapedGraph, type ShapedGraph } from './shaped-graph.ts';
import { bindState, planState, type StateVector, type TrainedParameter } from './state-plan.ts';
import type { Strategy } from './trainer.ts';

/** From pictures, or from cached features, to features, with the strategy's weights coming from state tensors. */
export interface Network {
  g: ShapedGraph;
  /** The input to feed. */
  input: typeof PIXELS | typeof FEATURES;
  /** `[rows, length]`. */
  features: string;
  parameters: readonly TrainedParameter[];
  vectors: readonly StateVector[];
  lora: readonly LoraLayer[];
}

export const FEATURES = 'features';

export interface NetworkOptions {
  strategy: Strategy;
  rows: number;
  pixels: 'uint8' | 'float32';
  preprocessing: Preprocessing;
  backbone: PlacedBackbone;
  seed: number;
  /** The head's weights, for this length of features. */
  head: (length: number) => TrainedParameter[];
}

/** Layer decay counts in twelfths of the depth: the blocks of a ViT-B, for which the usual decays were found. */
const DEPTH_STEPS = 12;

/** A network for the strategy `head`: features come in as they are. */
export function headNetwork(options: Pick<NetworkOptions, 'rows' | 'head'>, length: number): Network {
  const g = shapedGraph('the head');
  const features = g.input(FEATURES, 'float32', [options.rows, length]);
  const parameters = options.head(length);
  const vectors = planState(parameters);
  bindState(g, vectors);
  return { g, input: FEATURES, features, parameters, vectors, lora: [] };
}

/** A network for the other strategies: pixels come in. */
export async function pixelNetwork(options: NetworkOptions): Promise<Network> {
  const { strategy, rows, backbone, preprocessing } = options;
  const { height, width } = outputSize(preprocessing);
  const imported = await importGraph({
    path: backbone.path,
    batchSize: rows,
    inputDims: [rows, 3, height, width],
    output: backbone.output,
  });
  const { graph: g, parameters: found } = imported;
  g.clearOutputs();
  addPixelFront(g, imported.input, { rows, type: options.pixels, preprocessing });
  const features = pooled(g, backbone);
  const lora = strategy.kind === 'lora' ? findLoraLayers(g, found, strategy) : [];
  if (strategy.kind === 'lora' && lora.length === 0) throw noLinearLayers(backbone);
  const layers = lora.map(({ layer }) => layer);
  const parameters = [
    ...(strategy.kind === 'lora' ? loraParameters(layers, options.seed) : trainedBy(strategy, imported)),
    ...options.head(g.dims(features)[1] ?? 0),
  ];
  const vectors = planState(parameters);
  bindState(g, vectors);
  for (const layer of lora) addLora(g, layer);
  return { g, input: PIXELS, features, parameters, vectors, lora: layers };
}

function noLinearLayers({ path }: PlacedBackbone): ModelError {
  return new ModelError(
    'model_mismatch',
    `${basename(path)} has no linear layers for low-rank updates: take the strategy last_k or full`,
  );
}

function pooled(g: ShapedGraph, { output, pooling }: PlacedBackbone): string {
  const expected = pooling === 'class_token' ? 3 : 2;
  const dims = g.dims(output);
  if (dims.length !== expected) {
    throw misfit(
      `the features '${output}' are ${show(dims)}, but ${pooling} needs ${String(expected)} dimensions`,
    );
  }
  if (pooling === 'as_is') return output;
  const [rows = 0, , length = 0] = dims;
  return g.reshape(g.slice(output, { axis: 1, start: 0, end: 1 }), [rows, length]);
}

function trainedBy(strategy: Strategy, { graph, parameters }: ImportedGraph): TrainedParameter[] {
  const { placed, layers } = placeParameters(graph, parameters);
  if (strategy.kind === 'last_k') {
    return placed.filter(({ layer }) => layer >= layers - strategy.layers).map((place) => trained(place, 1));
  }
  const decay = strategy.kind === 'full' ? strategy.layerDecay : 1;
  return placed.map((place) => trained(place, decay ** depthOf(place.layer, layers)));
}

/** 1 for the layers below the head, up to `DEPTH_STEPS` for those at the picture. */
function depthOf(layer: number, layers: number): number {
  return Math.ceil((DEPTH_STEPS * (layers - layer)) / Math.max(1, layers));
}

function trained({ parameter, isKernel }: PlacedParameter, rate: number): TrainedParameter {
  const { name, dims } = parameter;
  return { name, dims, decays: isKernel, rate, values: () => parameter.values() };
}
