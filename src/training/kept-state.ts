import type { RunCall, TensorData } from '../model/graph-host.ts';
import { sizeOf } from './dims.ts';
import { initialState, stateName, type StateVector, type TrainedParameter } from './state-plan.ts';
import type { BuiltGraph } from './train-graphs.ts';

/** The kind of tensor from which sums begin. */
export const ZERO = 'zero';

type Tensors = Record<string, TensorData>;

export function zeros(kind: string, vectors: readonly StateVector[]): Tensors {
  return Object.fromEntries(
    vectors.map((vector) => [
      stateName(kind, vector),
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
      stateName(kind, vector),
      { data: values.get(vector.name) ?? new Float32Array(0), dims: vector.dims },
    ]),
  );
}

/** New names of one kind to the names of another, as `GraphHost.copy` takes them. */
export function copies(to: string, from: string, vectors: readonly StateVector[]): Record<string, string> {
  return Object.fromEntries(vectors.map((vector) => [stateName(to, vector), stateName(from, vector)]));
}

/** A run of a graph that reads the state which it has inputs for, and writes what it computes of it. */
export function statefulRun(
  { name, graph }: { name: string; graph: Pick<BuiltGraph, 'inputs' | 'writes'> },
  feeds: Tensors,
  state: { vectors: readonly StateVector[]; kinds: readonly string[] },
): RunCall {
  const names = state.kinds.flatMap((kind) => state.vectors.map((vector) => stateName(kind, vector)));
  const known = names.filter((input) => graph.inputs.has(input));
  return {
    graph: name,
    feeds: Object.fromEntries(Object.entries(feeds).filter(([input]) => graph.inputs.has(input))),
    reads: Object.fromEntries(known.map((input) => [input, input])),
    writes: graph.writes,
  };
}
