import type { Log } from '../../base/log.ts';
import type { Sample } from '../sample.ts';
import type { Preload } from '../input-loading.ts';
import type { Pictures } from './pictures.ts';

export interface PreloadOptions {
  samples: readonly Sample[];
  pictures: Pictures;
  settings: Preload;
  log: Log;
  onProgress: (progress: { done: number; total: number }) => void;
}

/**
 * Brings all pictures in before training, in batches where the job asks for that: each is done, with its tries again,
 * before the next one begins.
 */
export async function preload({
  samples,
  pictures,
  settings,
  log,
  onProgress,
}: PreloadOptions): Promise<void> {
  const size = settings.batched ? settings.batch_size : Math.max(1, samples.length);
  const count = Math.ceil(samples.length / size);
  const total = samples.length;
  for (let i = 0; i < count; i += 1) {
    const batch = samples.slice(i * size, (i + 1) * size);
    let done = i * size;
    await pictures.load(batch, () => {
      done = Math.min(done + 1, total);
      onProgress({ done, total });
    });
    // Images that share a picture are done with it.
    onProgress({ done: Math.min(total, (i + 1) * size), total });
    const failed = batch.filter((sample) => pictures.failureOf(sample) !== undefined).length;
    log.info(`[Preload] Batch ${i + 1}/${count}: ${batch.length - failed} loaded, ${failed} failed`, {
      loaded: batch.length - failed,
      failed,
    });
  }
}
