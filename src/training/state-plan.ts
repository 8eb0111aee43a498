import { sizeOf, type Dims } from './dims.ts';
import type { ShapedGraph } from './shaped-graph.ts';

/** A weight that is trained. */
export interface TrainedParameter {
  name: string;
  dims: Dims;
  /** Does weight decay apply: to matrices and kernels, not to biases, norms and embeddings. */
  decays: boolean;
  /** Its learning rate as a multiple of the run's. */
  rate: number;
  /** What it begins with. */
  values(): Float32Array;
}

/**
 * One tensor of state. Large weights are their own; small ones lie one behind another in one vector for each decay and
 * rate, so that a model has tens of state tensors instead of hundreds, and no large one is ever copied to take it apart.
 */
export interface StateVector {
  /** Name of its input in a graph. */
  name: string;
  dims: Dims;
  decays: boolean;
  rate: number;
  members: readonly { name: string; dims: Dims; offset: number }[];
}

/** From here on (256 KiB) copying a weight costs more than a tensor more. */
const LARGE_ELEMENTS = 65_536;

export function planState(parameters: readonly TrainedParameter[]): StateVector[] {
  const alone = parameters.filter(({ dims }) => sizeOf(dims) >= LARGE_ELEMENTS);
  const small = parameters.filter(({ dims }) => sizeOf(dims) < LARGE_ELEMENTS);
  const groups = Map.groupBy(small, ({ decays, rate }) => `${decays ? 'decayed' : 'free'}@${String(rate)}`);
  return [
    ...alone.map(({ name, dims, decays, rate }) => ({
      name,
      dims,
      decays,
      rate,
      members: [{ name, dims, offset: 0 }],
    })),
    ...[...groups].map(([key, members]) => vectorOf(`small/${key}`, members)),
  ];
}

function vectorOf(name: string, parameters: readonly TrainedParameter[]): StateVector {
  let length = 0;
  const members = parameters.map(({ name: member, dims }) => {
    const offset = length;
    length += sizeOf(dims);
    return { name: member, dims, offset };
  });
  const { decays = false, rate = 1 } = parameters[0] ?? {};
  return { name, dims: [length], decays, rate, members };
}

/** What the state begins with: the values of each vector. */
export function initialState(
  vectors: readonly StateVector[],
  parameters: readonly TrainedParameter[],
): Map<string, Float32Array> {
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  return new Map(
    vectors.map(({ name, dims, members }) => {
      const values = new Float32Array(sizeOf(dims));
      for (const member of members) values.set(byName.get(member.name)?.values() ?? [], member.offset);
      return [name, values];
    }),
  );
}

/** The values of one parameter in the state; a view. */
export function valuesOf(
  vectors: readonly StateVector[],
  state: Readonly<Record<string, Float32Array>>,
  parameter: string,
): Float32Array | undefined {
  for (const { name, members } of vectors) {
    const member = members.find((candidate) => candidate.name === parameter);
    if (member !== undefined)
      return state[name]?.subarray(member.offset, member.offset + sizeOf(member.dims));
  }
  return undefined;
}

/** Makes the parameters of a graph, initializers or not there yet, come from state tensors, its new inputs. */
export function bindState(g: ShapedGraph, vectors: readonly StateVector[]): void {
  for (const vector of vectors) {
    for (const { name } of vector.members) if (g.tensor(name) !== undefined) g.free(name);
    g.input(vector.name, 'float32', vector.dims);
    if (vector.members.some(({ name }) => name === vector.name)) continue;
    const lengths = vector.members.map(({ dims }) => sizeOf(dims));
    const parts = lengths.length === 1 ? [vector.name] : g.split(vector.name, lengths, 0);
    vector.members.forEach(({ name, dims }, i) => {
      g.node('Reshape', [parts[i] ?? '', g.ints(dims)], { dims, name });
    });
  }
}
