import type { EmbeddingModel } from './embedding-model.ts';
import { loadEmbeddingModel, type LoadOptions } from './load.ts';

/** Keeps the model of the last job loaded: creating and releasing sessions is slow, and leaks. */
export interface ModelCache {
  /** The model, held until the lease is disposed of. A model that nobody holds is released when another is asked for. */
  lease(options: LoadOptions): Promise<ModelLease>;
  close(): Promise<void>;
}

export interface ModelLease extends AsyncDisposable {
  readonly model: EmbeddingModel;
}

interface Entry {
  loading: Promise<EmbeddingModel>;
  holders: number;
}

export function createModelCache(load: typeof loadEmbeddingModel = loadEmbeddingModel): ModelCache {
  const entries = new Map<string, Entry>();

  const release = async (keep?: string): Promise<void> => {
    const idle = [...entries].filter(([key, entry]) => entry.holders === 0 && key !== keep);
    for (const [key] of idle) entries.delete(key);
    await Promise.all(idle.map(async ([, entry]) => (await entry.loading.catch(() => undefined))?.close()));
  };

  return {
    async lease(options) {
      const { log: _, ...what } = options;
      const key = JSON.stringify(what);
      await release(key);
      const entry = entries.get(key) ?? { loading: load(options), holders: 0 };
      entries.set(key, entry);
      entry.holders += 1;
      let held = true;
      const giveBack = (): Promise<void> => {
        if (held) entry.holders -= 1;
        held = false;
        return Promise.resolve();
      };
      try {
        return { model: await entry.loading, [Symbol.asyncDispose]: giveBack };
      } catch (error) {
        // What failed to load is tried afresh by the next job.
        if (entries.get(key) === entry) entries.delete(key);
        throw error;
      }
    },
    async close() {
      for (const entry of entries.values()) entry.holders = 0;
      await release();
    },
  };
}
