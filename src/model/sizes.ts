import type { Machine } from '../base/machine.ts';
import type { ExecutionProvider } from '../base/settings.ts';

/** A number, and what it was chosen by. */
export interface Chosen {
  value: number;
  from: 'set' | 'cores' | 'memory' | 'provider' | 'model file';
}

/** How a model runs. */
export interface InferenceSizes {
  /** Sessions with weights of their own, each in its thread: so many batches run at the same time. */
  sessions: Chosen;
  /** CPU threads of one run. */
  threads: Chosen;
  /** Images in one run. */
  batchSize: Chosen;
}

export interface InferenceNeeds {
  machine: Machine;
  provider: ExecutionProvider;
  weightBytes: number;
  /** The batch that the model's file fixes. */
  fixedBatch: number | null;
}

/** What is undefined is chosen. */
export type AskedSizes = Partial<Record<keyof InferenceSizes, number | undefined>>;

/** One picture at a time. */
export const SMALLEST: InferenceSizes = {
  sessions: chosen(1, 'set'),
  threads: chosen(1, 'set'),
  batchSize: chosen(1, 'set'),
};

/**
 * GPUs want batches large enough to fill them. On a CPU a batch of four stays in the caches: two to eight were the
 * fastest of one to sixteen (docs/bench.md).
 */
const BATCH_SIZE: Readonly<Record<ExecutionProvider, number>> = { cuda: 64, webgpu: 32, cpu: 4 };
/** A GPU's operators are only started from the CPU: its cores are for decoding. */
const GPU_THREADS = 1;
/** More copies of the weights than this were never measured: from here on a run gets more threads. */
const MAX_SESSIONS = 8;
/** What of the free memory models may take: the rest is for pictures, rows and points. */
const MEMORY_SHARE = 1 / 3;
/** A session's memory: its weights as they were read and as they are laid out for the processor. */
const BYTES_PER_WEIGHT_BYTE = 2.5;
/** What an image takes while it runs: more than a large vision transformer needs at 224 pixels. */
const BYTES_PER_IMAGE = 32 * 2 ** 20;

/**
 * What was asked for, and the rest from cores, memory and provider. On a CPU each core runs a session of its own where
 * memory allows: two threads of one run wait for each other whenever decoding takes one of their cores.
 */
export function chooseInference(needs: InferenceNeeds, asked: AskedSizes = {}): InferenceSizes {
  const batchSize = chooseBatch(needs, asked.batchSize);
  if (needs.provider !== 'cpu') {
    return {
      sessions: chosen(1, 'provider'),
      threads: asked.threads === undefined ? chosen(GPU_THREADS, 'provider') : chosen(asked.threads, 'set'),
      batchSize,
    };
  }
  const sessions = chooseSessions(needs, batchSize.value, asked);
  const each = Math.max(1, Math.floor(needs.machine.cores / sessions.value));
  const threads = asked.threads === undefined ? chosen(each, 'cores') : chosen(asked.threads, 'set');
  return { sessions, threads, batchSize };
}

function chooseBatch({ provider, fixedBatch, ...needs }: InferenceNeeds, asked: number | undefined): Chosen {
  if (fixedBatch !== null) return chosen(fixedBatch, 'model file');
  if (asked !== undefined) return chosen(asked, 'set');
  const usual = BATCH_SIZE[provider];
  if (provider !== 'cpu') return chosen(usual, 'provider');
  const fitting = Math.floor((roomFor(needs) - weightsOf(needs)) / BYTES_PER_IMAGE);
  return fitting < usual ? chosen(Math.max(1, fitting), 'memory') : chosen(usual, 'provider');
}

function chooseSessions(needs: InferenceNeeds, batchSize: number, asked: AskedSizes): Chosen {
  if (asked.sessions !== undefined) return chosen(asked.sessions, 'set');
  const wanted = Math.min(MAX_SESSIONS, Math.floor(needs.machine.cores / (asked.threads ?? 1)));
  const fitting = Math.floor(roomFor(needs) / (weightsOf(needs) + batchSize * BYTES_PER_IMAGE));
  return fitting < wanted ? chosen(Math.max(1, fitting), 'memory') : chosen(Math.max(1, wanted), 'cores');
}

function roomFor({ machine }: Pick<InferenceNeeds, 'machine'>): number {
  return (machine.freeMemoryBytes ?? Infinity) * MEMORY_SHARE;
}

function weightsOf({ weightBytes }: Pick<InferenceNeeds, 'weightBytes'>): number {
  return weightBytes * BYTES_PER_WEIGHT_BYTE;
}

function chosen(value: number, from: Chosen['from']): Chosen {
  return { value, from };
}
