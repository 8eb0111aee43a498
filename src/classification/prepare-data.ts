import { statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';

import { HandlerError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { outputSize, type Preprocessing } from '../image/preprocessing.ts';
import type { SignPaths } from '../job/sign.ts';
import { balanceOf, type Balance } from './balance.ts';
import { withFailures, type DataReport } from './data-report.ts';
import type { ClassificationInput } from './input.ts';
import { openFrameFile, type FrameFile } from './pictures/frame-file.ts';
import { createLoader, type Loader } from './pictures/loader.ts';
import { createPictures, MAX_ASPECT, type Pictures } from './pictures/pictures.ts';
import { createPool } from './pictures/pool.ts';
import { preload } from './pictures/preload.ts';
import { createPictureSource } from './pictures/source.ts';
import { failuresOf, planData, type DataPlan } from './plan-data.ts';
import type { Dataset } from './sample.ts';
import type { ClassificationTools } from './tools.ts';

export interface PrepareOptions {
  input: Pick<ClassificationInput, 'config' | 'loading'>;
  tools: ClassificationTools;
  dataset: Dataset;
  preprocessing: Preprocessing;
  /** Where decoded pictures are kept. */
  folder: string;
  sign: SignPaths;
  onProgress: (progress: { done: number; total: number }) => void;
  log: Log;
  signal: AbortSignal;
}

/** Data that are ready to train with. */
export interface PreparedData extends DataPlan, AsyncDisposable {
  frames: FrameFile;
  pictures: Pictures;
  loader: Loader;
  balance: Balance;
  /** The report with what could not be had since. */
  reportNow(): DataReport;
}

/** Of the memory that is free, what decoded pictures may take where the job asks for it. */
const MEMORY_SHARE = 1 / 4;
const MAX_MEMORY_BYTES = 4 * 2 ** 30;

/**
 * Brings the pictures in as the job says, looks at what was found, and divides them.
 * @throws HandlerError `too_little_data`, `cache_disk_full`; what `Pictures.load` throws.
 */
export async function prepareData(options: PrepareOptions): Promise<PreparedData> {
  const { input, tools, dataset, preprocessing, folder, sign, log, signal } = options;
  const { config, loading } = input;
  const { samples } = dataset;
  const least = new Set(samples.map(({ url }) => url)).size * leastBytes(preprocessing);
  const started = new AsyncDisposableStack();
  try {
    const frames = started.use(
      await openFrameFile({
        folder,
        decoding: JSON.stringify([preprocessing, MAX_ASPECT]),
        memoryBytes: loading.preload.use_memory_cache ? memoryBytes(least * MAX_ASPECT) : 0,
      }),
    );
    // What an earlier attempt has left there needs no room any more.
    await refuseFullDisk(least - frames.bytes, folder, tools.freeBytes);
    const allowPrivateHosts = tools.settings.ALLOW_PRIVATE_HOSTS ?? false;
    const source = started.use(createPictureSource(loading.preload, { allowPrivateHosts }));
    const pictures = createPictures({
      frames,
      sign,
      source,
      decode: tools.decode,
      preprocessing,
      limits: {
        downloads: loading.preload.max_workers,
        decoders: availableParallelism(),
        attempts: loading.preload.retry_attempts,
        retryDelayMs: loading.preload.retry_delay * 1_000,
      },
      signal,
    });
    if (loading.preload.enabled) {
      await preload({ samples, pictures, settings: loading.preload, log, onProgress: options.onProgress });
    }
    const plan = planData({ dataset, pictures, trainShare: config.train_split, seed: config.seed });
    const balance = balanceOf(plan.report.classes, config);
    const threads = Math.min(loading.workers, availableParallelism());
    const pool = started.use(createPool({ threads, path: frames.path, memory: frames.memory }));
    const loader = createLoader({
      pictures,
      pool,
      size: outputSize(preprocessing),
      prefetch: loading.prefetch,
      signal,
    });
    const { train, val, test } = plan.report.splits;
    log.info(`[Data] ${train} images to train, ${val} to validate, ${test} to test; ${balance.told}`, {
      classes: dataset.classNames.length,
      cache_bytes: frames.bytes,
      memory_bytes: frames.memory.length,
      threads,
    });
    return {
      ...plan,
      frames,
      pictures,
      loader,
      balance,
      reportNow: () => withFailures(plan.report, failuresOf(dataset, pictures)),
      [Symbol.asyncDispose]: () => started.disposeAsync(),
    };
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}

/** Of one decoded picture, if it is square. */
function leastBytes({ resize }: Preprocessing): number {
  return 3 * (resize.kind === 'exact' ? resize.width * resize.height : resize.size ** 2);
}

function memoryBytes(wanted: number): number {
  return Math.floor(Math.min(wanted, MAX_MEMORY_BYTES, process.availableMemory() * MEMORY_SHARE));
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function refuseFullDisk(needed: number, folder: string, freeIn = freeBytes): Promise<void> {
  const free = await freeIn(folder);
  if (free >= needed) return;
  const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);
  throw new HandlerError(
    'cache_disk_full',
    `decoded pictures take ${gigabytes(needed)} GB at least, and ${folder} has ${gigabytes(free)} GB free: give the ` +
      'worker a larger disk, or set TMPDIR to a folder on one',
  );
}
