import { subgraphs } from './attribute.ts';
import type { Graph, OnnxModel, ValueInfo } from './types.ts';

/** A value's lengths: a number where fixed, a name where it has one, null where unknown; undefined: unknown rank. */
export function dimsOf(value: ValueInfo): (number | string | null)[] | undefined {
  return value.type?.tensorType?.shape?.dims.map((d) => d.value ?? d.param ?? null);
}

/** The inputs that a caller must give. Older files list their weights among the inputs too. */
export function requiredInputs(graph: Graph): ValueInfo[] {
  const initialised = new Set(graph.initializers.map((tensor) => tensor.name));
  return graph.inputs.filter((input) => !initialised.has(input.name));
}

/** Version of the standard operators that the model was written for; 0 where it names none. */
export function standardOpset(model: OnnxModel): number {
  return (
    model.opsetImports.find((o) => o.domain === undefined || o.domain === '' || o.domain === 'ai.onnx')
      ?.version ?? 0
  );
}

/** Every name of a value or node in the graph and the graphs inside it. */
export function allNames(graph: Graph): Set<string> {
  const names = new Set<string>();
  const walk = (g: Graph): void => {
    for (const value of [...g.inputs, ...g.outputs, ...g.valueInfos]) names.add(value.name);
    for (const tensor of g.initializers) names.add(tensor.name ?? '');
    for (const node of g.nodes) {
      for (const name of [...node.inputs, ...node.outputs, node.name ?? '']) names.add(name);
      subgraphs(node).forEach(walk);
    }
  };
  walk(graph);
  names.delete('');
  return names;
}

/**
 * The graph with only what these outputs need: other outputs, and the nodes, weights and inputs that only they used,
 * are left out. Intermediate shapes (`valueInfos`) go too: the runtime infers them.
 */
export function keepOutputs(graph: Graph, outputs: readonly string[]): Graph {
  const needed = new Set(outputs);
  // Nodes are in topological order, so one pass from the end finds all that is needed.
  const nodes = graph.nodes
    .toReversed()
    .filter((node) => {
      if (!node.outputs.some((name) => name !== '' && needed.has(name))) return false;
      for (const input of node.inputs) needed.add(input);
      for (const inner of subgraphs(node)) for (const name of allNames(inner)) needed.add(name);
      return true;
    })
    .toReversed();
  return {
    ...graph,
    nodes,
    initializers: graph.initializers.filter((tensor) => needed.has(tensor.name ?? '')),
    inputs: graph.inputs.filter((input) => needed.has(input.name)),
    outputs: graph.outputs.filter((output) => outputs.includes(output.name)),
    valueInfos: [],
  };
}
