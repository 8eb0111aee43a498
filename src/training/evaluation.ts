import { ModelError } from '../base/errors.ts';
import type { GraphHost } from '../model/graph-host.ts';
import { sizeOf } from './dims.ts';
import { rowsOf } from './micro-batch.ts';
import { FEATURES, type Network } from './network.ts';
import { stateName } from './state-plan.ts';
import { buildEvaluation, OUTPUT } from './train-graphs.ts';
import type { TrainerOptions } from './trainer.ts';

/** `[count, ...]` of an output, for inputs `[count, ...]`. @throws ModelError `invalid_batch` */
export type Evaluate = (
  inputs: Uint8Array | Float32Array,
  count: number,
  options: Evaluation,
) => Promise<Float32Array>;

interface Evaluation {
  /** The kind of state that the weights come from. */
  weights: string;
  output: 'logits' | 'features';
  signal?: AbortSignal | undefined;
}

const GRAPH = 'evaluate';

/** Loads a network's forward pass; its weights are those that the host keeps. Before its training graphs are built. */
export async function loadEvaluation(
  host: GraphHost,
  network: Network,
  options: TrainerOptions,
): Promise<Evaluate> {
  const { g, input, vectors } = network;
  const [rows = 0, ...inputDims] = g.dims(input);
  const [, featureLength = 0] = g.dims(network.features);
  await host.unload(GRAPH);
  await host.load(GRAPH, buildEvaluation(network, options).encode());
  const wantsBytes = input !== FEATURES && options.pixels === 'uint8';
  const rowLength = sizeOf(inputDims);

  return async (inputs, count, { weights, output, signal }) => {
    const isBytes = inputs instanceof Uint8Array;
    if (inputs.length !== count * rowLength || (isBytes ? input === FEATURES : wantsBytes)) {
      throw new ModelError(
        'invalid_batch',
        `${String(count)} rows of ${input} [${inputDims.map(String).join(', ')}] do not fit ` +
          `${String(inputs.length)} ${isBytes ? 'bytes' : 'floats'}`,
      );
    }
    const length = output === 'logits' ? options.classes : featureLength;
    const all = new Float32Array(count * length);
    const data = wantsBytes || !isBytes ? inputs : Float32Array.from(inputs);
    for (let at = 0; at < count; at += rows) {
      signal?.throwIfAborted();
      const part = rowsOf({ data, length: rowLength }, at, rows);
      const answer = await host.run({
        graph: GRAPH,
        feeds: { [input]: { data: part, dims: [rows, ...inputDims] } },
        reads: Object.fromEntries(
          vectors.map((vector) => [stateName('parameters', vector), stateName(weights, vector)]),
        ),
        returns: [OUTPUT[output]],
      });
      const found = answer[OUTPUT[output]]?.data as Float32Array;
      all.set(found.subarray(0, Math.min(rows, count - at) * length), at * length);
    }
    return all;
  };
}
