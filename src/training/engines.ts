import { messageOf, ModelError } from '../base/errors.ts';
import type { GraphHost } from '../model/graph-host.ts';
import { loadEngine, type Engine } from './engine.ts';
import { initialTensors } from './kept-state.ts';
import { planMicroBatch } from './micro-batch.ts';
import type { Network } from './network.ts';
import { allKinds } from './train-graphs.ts';
import type { TrainerOptions } from './trainer.ts';

/** The engine, at as many rows a run as there are time and memory for. */
export interface Engines {
  readonly current: Engine;
  /** Goes on with this many rows a run, or fewer where memory runs out. */
  resize(rows: number): Promise<void>;
  /** Does the work; where memory runs out, does it again from its beginning with half the rows. */
  whileItFits<T>(work: (engine: Engine) => Promise<T>): Promise<T>;
}

export interface EnginesOptions {
  host: GraphHost;
  options: TrainerOptions;
  networkOf: (rows: number) => Promise<Network>;
}

/** Rows of the first graphs where nothing says how many: few enough to be quick, enough to tell the time of a row. */
const TRIAL_ROWS = 4;

/** Loads the graphs and makes the state what the first step finds. */
export async function openEngines({ host, options, networkOf }: EnginesOptions): Promise<Engines> {
  const { batchSize, strategy, log } = options;
  const load = async (rows: number, onNetwork?: (network: Network) => Promise<void>): Promise<Engine> => {
    for (let fitting = rows; ; fitting = half(fitting)) {
      try {
        const network = await networkOf(fitting);
        const engine = await loadEngine(host, network, options);
        await onNetwork?.(network);
        return engine;
      } catch (error) {
        if (!isOutOfMemory(error) || fitting === 1) throw error;
        log.warn('Memory ran out: the rows of a run were halved', {
          rows: half(fitting),
          reason: messageOf(error),
        });
      }
    }
  };
  // A head is small: its whole batch is one run.
  const planned = options.microBatch ?? (strategy.kind === 'head' ? batchSize : undefined);
  let current = await load(planned ?? Math.min(batchSize, TRIAL_ROWS), async ({ vectors, parameters }) => {
    for (const kind of allKinds(options)) await host.write(initialTensors(kind, vectors, parameters));
  });
  if (planned === undefined) {
    const rows = planMicroBatch(batchSize, current.msPerRow);
    if (rows !== current.rows) current = await load(rows);
  }
  const resize = async (rows: number): Promise<void> => {
    if (rows !== current.rows) current = await load(rows);
  };
  return {
    get current() {
      return current;
    },
    resize,
    whileItFits: async (work) => {
      for (;;) {
        try {
          return await work(current);
        } catch (error) {
          if (!isOutOfMemory(error) || current.rows === 1) throw error;
          const rows = half(current.rows);
          log.warn('Memory ran out: the rows of a run were halved', { rows, reason: messageOf(error) });
          await resize(rows);
        }
      }
    },
  };
}

function half(rows: number): number {
  return Math.ceil(rows / 2);
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof ModelError && error.code === 'out_of_memory';
}
