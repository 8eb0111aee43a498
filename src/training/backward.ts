import { ModelError } from '../base/errors.ts';
import type { DataType, Node } from '../onnx/types.ts';
import type { Target } from './convolution/target.ts';
import { contributions } from './contributions.ts';
import { misfit } from './dims.ts';
import { RULES } from './rules.ts';
import type { Rule } from './rule.ts';
import type { ShapedGraph } from './shaped-graph.ts';

export interface GradientOptions {
  /** What the graph will run on; `any` by default. */
  target?: Target;
}

/**
 * Appends the nodes that compute the gradients of `loss` (a scalar, float32 or float64) with respect to these values,
 * and says under which names they are: float, with the lengths of their values. Only what lies between `wrt` and the
 * loss is walked; contributions of several readers are added.
 * @throws ModelError `operator_not_trainable`, before anything is appended, that names every node on the way that has
 * no rule; `no_gradient` that names the values which the loss does not depend on.
 */
export function gradients(
  graph: ShapedGraph,
  loss: string,
  wrt: readonly string[],
  { target = 'any' }: GradientOptions = {},
): Map<string, string> {
  if (graph.dims(loss).length !== 0) throw misfit(`the loss '${loss}' is no scalar`);
  const path = pathBetween(graph, wrt, loss);
  refuseWithoutRule(graph, path.nodes);
  const lost = wrt.filter((name) => !path.values.has(name));
  if (lost.length > 0) {
    throw new ModelError(
      'no_gradient',
      `the loss of ${graph.source} does not depend on ${lost.map((name) => `'${name}'`).join(', ')}: do not train them`,
    );
  }
  const found = contributions(graph);
  found.add(loss, graph.scalar(1, graph.type(loss)));
  const makers = new Map(path.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  for (const node of path.nodes.toReversed()) {
    const outputGradients = node.outputs.map((name) => (name === '' ? '' : (found.total(name) ?? '')));
    // A rule may have reached through this node already.
    if (outputGradients.every((name) => name === '')) continue;
    const result = ruleOf(node)?.({
      g: graph,
      node,
      dy: outputGradients[0] ?? '',
      outputGradients,
      input: (index) => named(node, node.inputs[index]),
      output: (index = 0) => named(node, node.outputs[index]),
      needs: (index) => path.values.has(node.inputs[index] ?? ''),
      maker: (value) => makers.get(value),
      target,
    });
    result?.forEach((gradient, i) => {
      const input = node.inputs[i] ?? '';
      if (gradient !== undefined && path.values.has(input)) found.add(input, gradient);
    });
  }
  return new Map(wrt.map((name) => [name, found.total(name) ?? '']));
}

/** Those of `names` that a value depends on by floats, each once, in the order given. */
export function influencing(graph: ShapedGraph, names: readonly string[], value: string): string[] {
  const path = pathBetween(graph, names, value);
  return [...new Set(names)].filter((name) => path.values.has(name));
}

interface Path {
  /** Nodes between the values and the loss, makers first. */
  nodes: Node[];
  /** Values that depend on one of `wrt` and on which the loss depends. */
  values: Set<string>;
}

function pathBetween(graph: ShapedGraph, wrt: readonly string[], loss: string): Path {
  const ordered = graph.ordered();
  const dependent = new Set(wrt);
  for (const node of ordered) {
    if (!node.inputs.some((name) => dependent.has(name))) continue;
    // Comparisons and indices end the way: a step has no slope.
    for (const name of node.outputs) if (graph.has(name) && isFloat(graph.type(name))) dependent.add(name);
  }
  const needed = new Set([loss]);
  const nodes = ordered
    .toReversed()
    .filter((node) => {
      const isOnPath =
        node.outputs.some((name) => needed.has(name)) && node.inputs.some((name) => dependent.has(name));
      if (isOnPath) for (const name of node.inputs) if (dependent.has(name)) needed.add(name);
      return isOnPath;
    })
    .toReversed();
  return { nodes, values: needed };
}

function isFloat(type: DataType): boolean {
  return type === 'float32' || type === 'float64';
}

function ruleOf(node: Node): Rule | undefined {
  return isStandard(node) ? RULES.get(node.opType) : undefined;
}

function isStandard({ domain = '' }: Node): boolean {
  return domain === '' || domain === 'ai.onnx';
}

function refuseWithoutRule(graph: ShapedGraph, nodes: readonly Node[]): void {
  const without = nodes.filter((node) => ruleOf(node) === undefined);
  if (without.length === 0) return;
  const shown = without
    .slice(0, MAX_NAMED)
    .map((node) => `${isStandard(node) ? '' : `${node.domain ?? ''}.`}${node.opType} ('${node.name ?? ''}')`);
  const more = without.length > MAX_NAMED ? ` and ${String(without.length - MAX_NAMED)} more` : '';
  throw new ModelError(
    'operator_not_trainable',
    `${graph.source} cannot be trained: there is no gradient rule for ${shown.join(', ')}${more}; ` +
      'train only what lies behind, or export the model with standard float32 operators',
  );
}

/** How many nodes a message names. */
const MAX_NAMED = 5;

function named(node: Node, name: string | undefined): string {
  if (name === undefined || name === '')
    throw misfit(`${node.opType} '${node.name ?? ''}' lacks an input or output`);
  return name;
}
