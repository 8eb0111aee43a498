import { graphBuilder, tensorOf, type GraphBuilder } from '../onnx/build.ts';
import { allNames, dimsOf, requiredInputs, standardOpset } from '../onnx/inspect.ts';
import { floatValues } from '../onnx/tensor-values.ts';
import type { Graph, OnnxModel } from '../onnx/types.ts';
import type { Preprocessing } from '../image/preprocessing.ts';
import type { Backbone } from './backbone.ts';
import { isAngular, type LossSpec } from './loss-spec.ts';
import { LEAST_SQUARE } from './losses/pairs.ts';
import { mergeLora, type LoraLayer } from './lora.ts';
import type { HeadWeights } from './trainer.ts';

const LOGITS = 'logits';

/** From here on ReduceSum takes its axes as an input. */
const AXES_AS_INPUT_OPSET = 13;

export interface Trained {
  /** Values of trained weights by their initializer's name. */
  weights: ReadonlyMap<string, Float32Array>;
  lora: readonly { layer: LoraLayer; a: Float32Array; b: Float32Array }[];
  head: HeadWeights;
  loss: LossSpec;
}

export interface ModelCard {
  classNames: readonly string[];
  preprocessing: Preprocessing;
  temperature: number;
  metadata: Readonly<Record<string, string>>;
}

/**
 * The backbone's file with its trained weights and a head behind it: its own input, also the open batch, to `logits`
 * `[batch, classes]`; low-rank updates added to the weights that they belong to. The card goes to the metadata, as JSON
 * where it is no text: `class_names`, `preprocessing`, `temperature`.
 */
export function exportedModel(
  model: OnnxModel,
  backbone: Pick<Backbone, 'output' | 'pooling'>,
  trained: Trained,
  card: ModelCard,
): { model: OnnxModel; output: string } {
  const { classNames, preprocessing, temperature, metadata } = card;
  const entries = {
    ...metadata,
    class_names: JSON.stringify(classNames),
    preprocessing: JSON.stringify(preprocessing),
    temperature: String(temperature),
  };
  const kept = model.metadata.filter(({ key }) => !Object.hasOwn(entries, key));
  const head = { ...trained, classes: classNames.length };
  const graph = withHead(withWeights(model.graph, trained), standardOpset(model), backbone, head);
  return {
    model: {
      ...model,
      graph,
      metadata: [...kept, ...Object.entries(entries).map(([key, value]) => ({ key, value }))],
    },
    output: graph.outputs[0]?.name ?? '',
  };
}

function withWeights(graph: Graph, { weights, lora }: Trained): Graph {
  const updates = new Map(lora.map((update) => [update.layer.weight, update]));
  const initializers = graph.initializers.map((tensor) => {
    const name = tensor.name ?? '';
    const update = updates.get(name);
    const values =
      update === undefined
        ? weights.get(name)
        : mergeLora(update.layer, { ...update, weight: floatValues(tensor) });
    return values === undefined ? tensor : tensorOf(values, tensor.dims, name);
  });
  return { ...graph, initializers };
}

function withHead(
  graph: Graph,
  opset: number,
  { output, pooling }: Pick<Backbone, 'output' | 'pooling'>,
  { head, loss, classes }: HeadOf,
): Graph {
  const names = allNames(graph);
  let prefix = 'head/';
  while ([...names].some((name) => name.startsWith(prefix))) prefix = `_${prefix}`;
  const g = graphBuilder({ name: graph.name, opset, prefix, taken: [output] });
  const features =
    pooling === 'class_token'
      ? g.node('Gather', [output, g.ints([0], [])], { attributes: { axis: 1 } })
      : output;
  const ready = standardised(g, features, head.featureStatistics);
  const scores = isAngular(loss)
    ? g.node('MatMul', [unitRows(g, ready, opset), angularWeight(g, head, { scale: loss.scale, classes })])
    : g.node('Gemm', [
        ready,
        g.constant(head.weight, [head.weight.length / classes, classes]),
        g.constant(head.bias ?? new Float32Array(classes)),
      ]);
  const batch = requiredInputs(graph).map((input) => dimsOf(input)?.[0] ?? null)[0] ?? null;
  g.output(scores, 'float32', [batch, classes], names.has(LOGITS) ? `${prefix}${LOGITS}` : LOGITS);
  const behind = g.toGraph();
  return {
    ...graph,
    nodes: [...graph.nodes, ...behind.nodes],
    initializers: [...graph.initializers, ...behind.initializers],
    outputs: behind.outputs,
    valueInfos: [],
  };
}

interface HeadOf {
  head: HeadWeights;
  loss: LossSpec;
  classes: number;
}

function standardised(g: GraphBuilder, x: string, statistics: HeadWeights['featureStatistics']): string {
  if (statistics === undefined) return x;
  return g.node('Div', [g.node('Sub', [x, g.constant(statistics.mean)]), g.constant(statistics.deviation)]);
}

function unitRows(g: GraphBuilder, x: string, opset: number): string {
  const squares = g.node('Mul', [x, x]);
  const sum =
    opset >= AXES_AS_INPUT_OPSET
      ? g.node('ReduceSum', [squares, g.ints([-1])], { attributes: { keepdims: 1 } })
      : g.node('ReduceSum', [squares], { attributes: { axes: [-1], keepdims: 1 } });
  return g.node('Div', [x, g.node('Sqrt', [g.node('Add', [sum, g.floats([LEAST_SQUARE], [])])])]);
}

/** Class weights of length `scale`, so that the product with unit features is the scaled cosine. */
function angularWeight(
  g: GraphBuilder,
  { weight }: HeadWeights,
  { scale, classes }: { scale: number; classes: number },
): string {
  const squares = new Float64Array(classes).fill(LEAST_SQUARE);
  weight.forEach((value, i) => {
    squares[i % classes] = (squares[i % classes] ?? 0) + value * value;
  });
  const scaled = weight.map((value, i) => (scale * value) / Math.sqrt(squares[i % classes] ?? 1));
  return g.constant(scaled, [weight.length / classes, classes]);
}
