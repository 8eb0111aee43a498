import { ModelError } from '../base/errors.ts';
import type { GraphHost, TensorData } from '../model/graph-host.ts';
import type { Engines } from './engines.ts';
import type { Trained } from './export.ts';
import { HEAD_BIAS, HEAD_WEIGHT } from './head.ts';
import { copies, keptName } from './kept-state.ts';
import { valuesOf } from './state-plan.ts';
import type { HeadWeights, TrainerOptions, TrainerState, WeightsName } from './trainer.ts';

const BEST = 'best';

/** What a trainer knows beside its graphs: how far it is, and how its state is read and written. */
export interface StateKeeper {
  /** Updates made. */
  step: number;
  /** The kind of state tensors that hold these weights. @throws ModelError `weights_missing`. */
  kindOf(weights?: WeightsName): string;
  markBest(weights?: WeightsName): Promise<void>;
  head(weights?: WeightsName): Promise<HeadWeights>;
  trained(weights?: WeightsName): Promise<Trained>;
  read(): Promise<TrainerState>;
  restore(state: TrainerState): Promise<void>;
}

export interface StateKeeperOptions {
  host: GraphHost;
  engines: Engines;
  options: TrainerOptions;
  configuration: string;
}

export function stateKeeper({ host, engines, options, configuration }: StateKeeperOptions): StateKeeper {
  const { vectors, kinds, lora } = engines.current;
  let step = 0;
  let hasBest = false;

  const kindOf: StateKeeper['kindOf'] = (weights = options.averageDecay === null ? 'current' : 'average') => {
    if (weights === 'current') return 'parameters';
    if (weights === 'best' ? hasBest : kinds.includes(weights)) return weights;
    throw new ModelError('weights_missing', `this trainer has no weights '${weights}'`);
  };

  const valuesOfKind = async (kind: string): Promise<Record<string, Float32Array>> => {
    const tensors = await host.read(vectors.map((vector) => keptName(kind, vector)));
    return Object.fromEntries(
      vectors.map((vector) => [vector.name, floatsOf(tensors[keptName(kind, vector)])]),
    );
  };
  const headIn = (values: Record<string, Float32Array>): HeadWeights => ({
    weight: valuesOf(vectors, values, HEAD_WEIGHT)?.slice() ?? new Float32Array(0),
    bias: valuesOf(vectors, values, HEAD_BIAS)?.slice() ?? null,
    ...(options.featureStatistics === undefined ? {} : { featureStatistics: options.featureStatistics }),
  });

  return {
    get step() {
      return step;
    },
    set step(made) {
      step = made;
    },
    kindOf,
    markBest: async (weights) => {
      await host.copy(copies(BEST, kindOf(weights), vectors));
      hasBest = true;
    },
    head: async (weights) => headIn(await valuesOfKind(kindOf(weights))),
    trained: async (weights) => {
      const values = await valuesOfKind(kindOf(weights));
      const of = (name: string): Float32Array => valuesOf(vectors, values, name) ?? new Float32Array(0);
      const names = vectors.flatMap(({ members }) => members.map(({ name }) => name));
      return {
        weights: new Map(names.map((name) => [name, of(name)])),
        lora: lora.map((layer) => ({ layer, a: of(layer.a), b: of(layer.b) })),
        head: headIn(values),
        loss: options.loss,
      };
    },
    read: async () => {
      const all = hasBest ? [...kinds, BEST] : kinds;
      const names = all.flatMap((kind) => vectors.map((vector) => keptName(kind, vector)));
      const tensors = await host.read(names);
      return {
        configuration,
        step,
        microBatch: engines.current.rows,
        random: [options.seed],
        vectors: Object.fromEntries(names.map((name) => [name, floatsOf(tensors[name])])),
      };
    },
    restore: async (state) => {
      const kept = vectorsIn(state, configuration, { vectors, kinds });
      await engines.resize(state.microBatch);
      await host.write(kept.tensors);
      ({ hasBest } = kept);
      ({ step } = state);
    },
  };
}

function floatsOf(tensor: TensorData | undefined): Float32Array {
  return tensor?.data instanceof Float32Array ? tensor.data : new Float32Array(0);
}

/** The state's vectors as tensors; copies, so that the state can be restored again. */
function vectorsIn(
  state: TrainerState,
  configuration: string,
  { vectors, kinds }: Pick<Engines['current'], 'vectors' | 'kinds'>,
): { tensors: Record<string, TensorData>; hasBest: boolean } {
  if (state.configuration !== configuration) {
    throw new ModelError(
      'checkpoint_mismatch',
      'the state is of another configuration: resume with the same model, classes, strategy, loss and optimiser',
    );
  }
  const hasBest = vectors.every((vector) => state.vectors[keptName(BEST, vector)] !== undefined);
  const all = hasBest ? [...kinds, BEST] : kinds;
  const tensors: Record<string, TensorData> = {};
  for (const kind of all) {
    for (const vector of vectors) {
      const values = state.vectors[keptName(kind, vector)];
      if (values === undefined) {
        throw new ModelError('checkpoint_damaged', `the state lacks '${keptName(kind, vector)}'`);
      }
      tensors[keptName(kind, vector)] = { data: values.slice(), dims: vector.dims };
    }
  }
  return { tensors, hasBest };
}
