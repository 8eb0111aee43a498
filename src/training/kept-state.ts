import type { RunCall, TensorData } from '../model/graph-host.ts';
import { sizeOf } from './dims.ts';
import { initialState, type StateVector, type TrainedParameter } from './state-plan.ts';
import { stateInput, stateOutput, type BuiltGraph } from './train-graphs.ts';

/** Kinds of tensors that are no state: sums of gradients within a step, and the zeros that they begin from. */
export const SUM = 'sum';
export const ZERO = 'zero';

type Tensors = Record<string, TensorData>;

/** How the host calls a state tensor. */
export function keptName(kind: string, { name }: StateVector): string {
  return `${kind}/${name}`;
}

export function zeros(kind: string, vectors: readonly StateVector[]): Tensors {
  return Object.fromEntries(
    vectors.map((vector) => [
      keptName(kind, vector),
      { data: new Float32Array(sizeOf(vector.dims)), dims: vector.dims },
    ]),
  );
}

/** What the first step finds: the weights' own values, also as their average; moments of zero. */
export function initialTensors(
  kind: string,
  vectors: readonly StateVector[],
  parameters: readonly TrainedParameter[],
): Tensors {
  if (kind !== 'parameters' && kind !== 'average') return zeros(kind, vectors);
  const values = initialState(vectors, parameters);
  return Object.fromEntries(
    vectors.map((vector) => [
      keptName(kind, vector),
      { data: values.get(vector.name) ?? new Float32Array(0), dims: vector.dims },
    ]),
  );
}

/** New names of one kind to the names of another, as `GraphHost.copy` takes them. */
export function copies(to: string, from: string, vectors: readonly StateVector[]): Record<string, string> {
  return Object.fromEntries(vectors.map((vector) => [keptName(to, vector), keptName(from, vector)]));
}

/** A run of a graph that reads the state of these kinds and writes what it computes of it. */
export function statefulRun(
  { name, graph }: { name: string; graph: Pick<BuiltGraph, 'inputs' | 'outputs'> },
  feeds: Tensors,
  state: { vectors: readonly StateVector[]; kinds: readonly string[] },
): RunCall {
  const pairs = state.kinds.flatMap((kind) => state.vectors.map((vector) => ({ kind, vector })));
  const reads = pairs.map(({ kind, vector }) => [stateInput(kind, vector), keptName(kind, vector)] as const);
  const writes = pairs.map(
    ({ kind, vector }) => [stateOutput(kind, vector), keptName(kind, vector)] as const,
  );
  return {
    graph: name,
    feeds: Object.fromEntries(Object.entries(feeds).filter(([input]) => graph.inputs.has(input))),
    reads: Object.fromEntries(reads.filter(([input]) => graph.inputs.has(input))),
    writes: Object.fromEntries(writes.filter(([output]) => graph.outputs.has(output))),
  };
}
