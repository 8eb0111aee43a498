import { createGraphHost, type GraphHost, type Tensors } from '../model/graph-host.ts';
import { placeBackbone, type PlacedBackbone } from './backbone.ts';
import { closeOnAbort } from './close-on-abort.ts';
import { configurationOf } from './configuration.ts';
import { sizeOf } from './dims.ts';
import { loadEvaluation } from './evaluation.ts';
import { openEngines, type Engines } from './engines.ts';
import { exportTrained } from './export-trained.ts';
import { loadExtractor, type Extractor } from './extractor.ts';
import { HEAD_BIAS, HEAD_WEIGHT, headParameters } from './head.ts';
import { headNetwork, pixelNetwork } from './network.ts';
import { inTurn } from './in-turn.ts';
import type { TrainedParameter } from './state-plan.ts';
import { stateKeeper } from './trainer-state.ts';
import type { Trainer, TrainerOptions } from './trainer.ts';

export interface TrainerParts {
  createHost?: typeof createGraphHost;
}

/**
 * A trainer that is ready: the file read, its graphs written and proven by one run, the state made.
 * @throws ModelError that says what is wrong with the file or the providers: `model_mismatch`, `model_not_trainable`,
 * `operator_not_trainable`, `gpu_required`, `model_load_failed`, `out_of_memory`; or the signal's reason.
 */
export async function createTrainer(options: TrainerOptions, parts: TrainerParts = {}): Promise<Trainer> {
  const { createHost = createGraphHost } = parts;
  const { providers, requireGpu, threads, log } = options;
  const configuration = await configurationOf(options);
  const common = { log, ...(threads === undefined ? {} : { threads }) };
  const host = createHost({ providers, requireGpu, ...common });
  const createCpuHost = (): GraphHost => createHost({ providers: ['cpu'], requireGpu: false, ...common });
  let backbone: PlacedBackbone | undefined;
  using _closing = closeOnAbort(options.signal, host);
  try {
    backbone = await placeBackbone(options.model, options.features, options.folder);
    options.signal?.throwIfAborted();
    const extractor = options.strategy.kind === 'head' ? await extract(host, backbone, options) : undefined;
    const engines = await openEngines({
      host,
      options,
      networkOf: networkMaker(options, backbone, extractor),
    });
    return trainer({ options, host, createCpuHost, backbone, extractor, engines, configuration });
  } catch (error) {
    await host.close();
    await backbone?.[Symbol.asyncDispose]();
    options.signal?.throwIfAborted();
    throw error;
  }
}

function extract(host: GraphHost, backbone: PlacedBackbone, options: TrainerOptions): Promise<Extractor> {
  const { model } = options;
  return loadExtractor(host, {
    name: 'features',
    path: backbone.path,
    folder: backbone.folder,
    source: backbone,
    preprocessing: model.preprocessing,
  });
}

function networkMaker(options: TrainerOptions, backbone: PlacedBackbone, extractor: Extractor | undefined) {
  const { classes, loss, seed, head: begin, strategy, pixels, model } = options;
  const head = (length: number): TrainedParameter[] =>
    headParameters({ length, classes, loss, seed, ...(begin === undefined ? {} : { head: begin }) });
  return async (rows: number) =>
    extractor !== undefined
      ? headNetwork({ rows, head }, extractor.length)
      : await pixelNetwork({
          strategy,
          rows,
          pixels,
          preprocessing: model.preprocessing,
          backbone,
          seed,
          head,
        });
}

interface Parts {
  options: TrainerOptions;
  host: GraphHost;
  createCpuHost: () => GraphHost;
  backbone: PlacedBackbone;
  /** For the strategy `head`: what gives the features that the engine takes. */
  extractor: Extractor | undefined;
  engines: Engines;
  configuration: string;
}

function trainer(parts: Parts): Trainer {
  const { options, host, createCpuHost, backbone, extractor, engines, configuration } = parts;
  const { vectors, featureLength } = engines.current;
  const turn = inTurn();
  const state = stateKeeper({ host, engines, options, configuration });
  const trained = vectors.reduce((sum, { dims }) => sum + sizeOf(dims), 0);

  const featuresOf: Trainer['features'] = async (pixels, count, { weights, signal } = {}) => {
    if (extractor !== undefined) return extractor.run(pixels, count, signal);
    return engines.whileItFits((engine) =>
      engine.evaluate(pixels, count, {
        weights: state.kindOf(weights),
        output: 'features',
        signal,
      }),
    );
  };
  const logitsOf: Trainer['evaluate'] = async (given, count, { weights, signal } = {}) => {
    const isPixels = given instanceof Uint8Array;
    const inputs = isPixels && extractor !== undefined ? await extractor.run(given, count, signal) : given;
    return engines.whileItFits((engine) =>
      engine.evaluate(inputs, count, { weights: state.kindOf(weights), output: 'logits', signal }),
    );
  };
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= host.close().finally(() => backbone[Symbol.asyncDispose]()));

  return {
    provider: host.provider ?? '',
    featureLength,
    get microBatch() {
      return engines.current.rows;
    },
    parameters: { trained, all: allWeights(parts) },
    step: (batch, { learningRate, signal }) => {
      const { inputs, targets, weights } = batch;
      const copy = { inputs: copied(inputs), targets: targets.slice(), weights: weights.slice() };
      return turn(async () => {
        const step = state.step;
        const result = await engines.whileItFits((engine) =>
          engine.step(copy, { learningRate, step, signal }),
        );
        state.step += 1;
        return result;
      });
    },
    evaluate: (inputs, count, evaluation) => {
      const copy = copied(inputs);
      return turn(() => logitsOf(copy, count, evaluation));
    },
    features: (pixels, count, evaluation) => {
      const copy = copied(pixels);
      return turn(() => featuresOf(copy, count, evaluation));
    },
    markBest: (weights) => turn(() => state.markBest(weights)),
    head: (weights) => turn(() => state.head(weights)),
    state: () => turn(() => state.read()),
    restore: (given) => turn(() => state.restore(given)),
    exportModel: (given) =>
      turn(async () => {
        const { check, weights, signal } = given;
        const { preprocessing } = options.model;
        using _closing = closeOnAbort(signal, host);
        const trained = await state.trained(weights);
        const evaluation = weights === undefined ? {} : { weights };
        if (host.provider === 'cpu') {
          const expected = await logitsOf(check.pixels, check.count, evaluation);
          return await exportTrained({ host, backbone, preprocessing, trained, expected }, given);
        }
        await using cpu = createCpuHost();
        using _closingCpu = closeOnAbort(signal, cpu);
        const values = await state.tensors(weights);
        const expected = await cpuLogits(parts, { host: cpu, values, ...check });
        return await exportTrained({ host: cpu, backbone, preprocessing, trained, expected }, given);
      }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * The training graph's logits in float32, as CPUs compute them, from these values of its parameters: GPUs round products
 * to fewer bits, and in each graph others.
 */
async function cpuLogits(
  { options, backbone, extractor }: Pick<Parts, 'options' | 'backbone' | 'extractor'>,
  { host, values, pixels, count }: { host: GraphHost; values: Tensors; pixels: Uint8Array; count: number },
): Promise<Float32Array> {
  const onCpu = extractor && (await extract(host, backbone, options));
  const inputs = onCpu === undefined ? pixels : await onCpu.run(pixels, count);
  const network = await networkMaker(options, backbone, onCpu)(count);
  const evaluate = await loadEvaluation(host, network, options);
  await host.write(values);
  return evaluate(inputs, count, { weights: 'parameters', output: 'logits' });
}

/** How many numbers the model with its head is, the frozen ones among them. */
function allWeights({ backbone, options, engines }: Parts): number {
  const isOfFile = options.strategy.kind === 'full' || options.strategy.kind === 'last_k';
  const own = engines.current.vectors.flatMap(({ members }) => members);
  const added = own.filter(({ name }) => !isOfFile || name === HEAD_WEIGHT || name === HEAD_BIAS);
  return backbone.weights + added.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
}

function copied<A extends Uint8Array | Float32Array>(values: A): A {
  // A Buffer's own slice does not copy.
  return (values instanceof Uint8Array ? new Uint8Array(values) : values.slice()) as A;
}
