import { InferenceSession, Tensor } from 'onnxruntime-node';

import { randomNumbers } from '../../src/model/small/random.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import { gradients } from '../../src/training/backward.ts';
import type { Target } from '../../src/training/convolution/target.ts';
import { sizeOf, type Dims } from '../../src/training/dims.ts';
import { shapedGraph, type ShapedGraph } from '../../src/training/shaped-graph.ts';

export interface Case {
  /** Lengths of each value that is differentiated by, in the order in which `build` gets them. */
  inputs: readonly Dims[];
  build: (g: ShapedGraph, ...inputs: string[]) => string;
  /** float64 where ONNX Runtime's CPU kernels have it. */
  type?: 'float32' | 'float64';
  /** Half the distance of the two points; by default small for float64, large for float32. */
  step?: number;
  /** Of the values at which it is checked: uniform between these. */
  between?: readonly [number, number];
  seed?: number;
  target?: Target;
}

const STEP = { float64: 1e-4, float32: 0.05 };

/**
 * The worst difference between the gradients that the rules write and central differences of the same graph, both run
 * by ONNX Runtime; relative to the greatest derivative of that input. The loss is a sum of the results with random
 * weights, so that no element's gradient is like another's.
 */
export async function worstError(example: Case): Promise<number> {
  const { type = 'float64', seed = 1 } = example;
  const random = randomNumbers(seed);
  const graph = shapedGraph('the test');
  const names = example.inputs.map((dims, i) => graph.input(`in${String(i)}`, type, dims));
  const result = example.build(graph, ...names);
  const weights = array(type, sizeOf(graph.dims(result)), random);
  const weighted = graph.mul(result, graph.constant(weights, graph.dims(result)));
  const loss = graph.sum(weighted, undefined, false);
  const found = gradients(graph, loss, names, { target: example.target ?? 'any' });
  graph.output(loss, 'loss');
  names.forEach((name) => graph.output(found.get(name) ?? '', `d_${name}`));

  const [low, high] = example.between ?? [-1, 1];
  const spread = (): number => low + ((random() + 1) / 2) * (high - low);
  const values = example.inputs.map((dims) => array(type, sizeOf(dims), spread));
  const session = await InferenceSession.create(writeModel(graph.toModel()), { intraOpNumThreads: 1 });
  try {
    const run = () =>
      session.run(
        Object.fromEntries(names.map((name, i) => [name, tensor(values[i], example.inputs[i] ?? [])])),
      );
    const at = await run();
    let worst = 0;
    for (const [i, name] of names.entries()) {
      const given = Array.from(at[`d_${name}`]?.data as Float64Array);
      const numeric = await differences(
        values[i] ?? new Float64Array(0),
        example.step ?? STEP[type],
        async () => Number((await run()).loss?.data[0]),
      );
      const scale = Math.max(...numeric.map(Math.abs), 1e-3);
      worst = Math.max(worst, ...given.map((value, k) => Math.abs(value - (numeric[k] ?? NaN)) / scale));
      if (given.length !== numeric.length || given.some(Number.isNaN)) return NaN;
    }
    return worst;
  } finally {
    await session.release();
  }
}

async function differences(
  values: Float32Array | Float64Array,
  step: number,
  loss: () => Promise<number>,
): Promise<number[]> {
  const found: number[] = [];
  for (const [k, value] of values.entries()) {
    values[k] = value + step;
    const above = { at: values[k], loss: await loss() };
    values[k] = value - step;
    found.push((above.loss - (await loss())) / (above.at - values[k]));
    values[k] = value;
  }
  return found;
}

function array(type: 'float32' | 'float64', length: number, value: () => number) {
  return type === 'float64' ? Float64Array.from({ length }, value) : Float32Array.from({ length }, value);
}

function tensor(values: Float32Array | Float64Array | undefined, dims: Dims): Tensor {
  return values instanceof Float32Array
    ? new Tensor('float32', values, dims)
    : new Tensor('float64', values ?? new Float64Array(0), dims);
}
