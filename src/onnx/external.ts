import { ModelError } from '../base/errors.ts';
import type { Graph, Node, OnnxModel, Tensor } from './types.ts';

/** Value of `dataLocation` for a tensor whose values lie in another file. */
export const EXTERNAL = 1;

/**
 * The files beside the model that hold its weights, as the model names them: relative paths, each once, sorted.
 * @throws ModelError `model_unreadable` for a path that leads out of the model's folder.
 */
export function externalLocations(model: OnnxModel): string[] {
  const locations = new Set<string>();
  for (const tensor of allTensors(model)) {
    if (tensor.dataLocation !== EXTERNAL) continue;
    const location = tensor.externalData.find((entry) => entry.key === 'location')?.value ?? '';
    const steps = location.split(/[\\/]/);
    if (location === '' || steps.includes('..') || steps[0] === '' || /^[a-z]:/i.test(location)) {
      throw new ModelError(
        'model_unreadable',
        `the weights of '${tensor.name ?? ''}' are said to lie in '${location}', which is no file in the model's folder`,
      );
    }
    locations.add(location);
  }
  return [...locations].sort();
}

/** The model with its big weights in one block, to be stored as a file `location` beside it. */
export function moveWeightsOut(
  model: OnnxModel,
  location: string,
  minBytes = 1024,
): { model: OnnxModel; data: Uint8Array } {
  const blocks: Uint8Array[] = [];
  let offset = 0;
  const initializers = model.graph.initializers.map((tensor) => {
    const { rawData, ...rest } = tensor;
    if (rawData === undefined || rawData.length < minBytes) return tensor;
    const externalData = [
      { key: 'location', value: location },
      { key: 'offset', value: String(offset) },
      { key: 'length', value: String(rawData.length) },
    ];
    blocks.push(rawData);
    offset += rawData.length;
    return { ...rest, externalData, dataLocation: EXTERNAL };
  });
  return { model: { ...model, graph: { ...model.graph, initializers } }, data: Buffer.concat(blocks) };
}

function* allTensors(model: OnnxModel): Generator<Tensor> {
  yield* tensorsOf(model.graph);
  for (const f of model.functions) for (const node of f.nodes) yield* tensorsOfNode(node);
}

function* tensorsOf(graph: Graph): Generator<Tensor> {
  yield* graph.initializers;
  for (const node of graph.nodes) yield* tensorsOfNode(node);
}

function* tensorsOfNode(node: Node): Generator<Tensor> {
  for (const a of node.attributes) {
    if (a.type === 'tensor') yield a.value;
    else if (a.type === 'tensors') yield* a.value;
    else if (a.type === 'graph') yield* tensorsOf(a.value);
    else if (a.type === 'graphs') for (const graph of a.value) yield* tensorsOf(graph);
  }
}
