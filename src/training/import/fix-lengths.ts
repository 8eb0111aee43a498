import { ModelError } from '../../base/errors.ts';
import { dimsOf, requiredInputs } from '../../onnx/inspect.ts';
import { DATA_TYPE, type Graph, type ValueInfo } from '../../onnx/types.ts';
import { show, type Dims } from '../dims.ts';

export interface WantedLengths {
  path: string;
  batchSize: number;
  /** Of the whole input, `[batch, 3, height, width]`; needed where the file leaves more than the batch open. */
  inputDims?: Dims;
}

/**
 * The graph with all lengths of its only input fixed. What the file says of other values is dropped: it was written for
 * open lengths.
 * @throws ModelError `model_mismatch` for several inputs, for one that is not float32, and for lengths that do not fit.
 */
export function fixLengths(graph: Graph, wanted: WantedLengths): { graph: Graph; input: string; dims: Dims } {
  const [input, ...others] = requiredInputs(graph);
  if (input === undefined || others.length > 0) {
    const names = requiredInputs(graph).map(({ name }) => `'${name}'`);
    throw mismatch(wanted.path, `one input is expected, it has ${names.join(', ') || 'none'}`);
  }
  if (input.type?.tensorType?.elemType !== DATA_TYPE.float32) {
    throw mismatch(wanted.path, `its input '${input.name}' is not float32`);
  }
  const dims = fixedDims(input, wanted);
  return {
    graph: {
      ...graph,
      inputs: [withDims(input, dims)],
      outputs: graph.outputs.map((output) => withDims(output, undefined)),
      valueInfos: [],
    },
    input: input.name,
    dims,
  };
}

function fixedDims(input: ValueInfo, { path, batchSize, inputDims }: WantedLengths): number[] {
  const said = dimsOf(input) ?? inputDims?.map(() => null) ?? [];
  const asked = inputDims ?? [];
  const dims = said.map((d, i) => (typeof d === 'number' ? d : i === 0 ? batchSize : asked[i]));
  const open = dims.findIndex((d) => d === undefined);
  if (open >= 0 || dims.length === 0) {
    throw mismatch(path, `its input '${input.name}' leaves lengths open: say which size the pictures have`);
  }
  const known = dims.map((d) => d ?? 0);
  const differs = (wish: number | undefined, i: number): boolean => wish !== undefined && wish !== known[i];
  if (differs(batchSize, 0)) {
    const what = `it is exported for batches of ${String(known[0])} only, ${String(batchSize)} is wanted`;
    throw mismatch(path, `${what}: export it with an open batch`);
  }
  if (
    asked.slice(1).some((wish, i) => differs(wish, i + 1)) ||
    (asked.length > 0 && asked.length !== said.length)
  ) {
    throw mismatch(path, `its input '${input.name}' is ${show(known)}, but the pictures are ${show(asked)}`);
  }
  return known;
}

function withDims(value: ValueInfo, dims: Dims | undefined): ValueInfo {
  const elemType = value.type?.tensorType?.elemType ?? DATA_TYPE.float32;
  const shape = dims === undefined ? {} : { shape: { dims: dims.map((d) => ({ value: d })) } };
  return { ...value, type: { tensorType: { elemType, ...shape } } };
}

function mismatch(path: string, why: string): ModelError {
  return new ModelError('model_mismatch', `${path} does not fit: ${why}`);
}
