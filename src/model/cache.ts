import { StoppedError } from '../base/errors.ts';
import { abortable } from '../flow/time.ts';
import type { EmbeddingModel } from './embedding-model.ts';
import { loadEmbeddingModel, type LoadOptions } from './load.ts';

/** Keeps the model of the last job loaded: creating and releasing sessions is slow, and leaks. */
export interface ModelCache {
  /**
   * The model, held until the lease is disposed of. A model that nobody holds is released when another is asked for;
   * one that has stopped is replaced by a fresh one, and closed when its last holder leaves. When the signal aborts,
   * the wait ends with its reason; the load goes on, for the next job.
   */
  lease(options: LoadOptions, signal?: AbortSignal): Promise<ModelLease>;
  /** Ends every model and every load, whoever holds them. */
  close(): Promise<void>;
}

export interface ModelLease extends AsyncDisposable {
  readonly model: EmbeddingModel;
}

interface Entry {
  loading: Promise<EmbeddingModel>;
  /** Once it is loaded. */
  model?: EmbeddingModel;
  holders: number;
  /** Ends the load. */
  stop: AbortController;
}

export function createModelCache(load: typeof loadEmbeddingModel = loadEmbeddingModel): ModelCache {
  const entries = new Map<string, Entry>();
  /** Models that have stopped and are still held. */
  const retired = new Set<Entry>();

  const begin = (key: string, options: LoadOptions): Entry => {
    const stop = new AbortController();
    const entry: Entry = { loading: load({ ...options, signal: stop.signal }), holders: 0, stop };
    entries.set(key, entry);
    entry.loading.then(
      (model) => {
        entry.model = model;
      },
      () => {
        // What failed to load is tried afresh by the next job.
        if (entries.get(key) === entry) entries.delete(key);
      },
    );
    return entry;
  };

  const end = async (entry: Entry): Promise<void> => {
    retired.delete(entry);
    entry.stop.abort(new StoppedError('shutdown', 'nobody waits for this model any more'));
    await (await entry.loading.catch(() => undefined))?.close();
  };

  const release = async (keep?: string): Promise<void> => {
    const idle = [...entries].filter(([key, entry]) => entry.holders === 0 && key !== keep);
    for (const [key] of idle) entries.delete(key);
    await Promise.all(idle.map(([, entry]) => end(entry)));
  };

  /** Nobody else gets this model; it is closed as soon as nobody holds it. */
  const retire = async (key: string, entry: Entry): Promise<void> => {
    if (entries.get(key) === entry) entries.delete(key);
    if (entry.holders === 0) await end(entry);
    else retired.add(entry);
  };

  return {
    async lease(options, signal = options.signal) {
      signal?.throwIfAborted();
      // Where the files come from, and who waits for them, makes no other model.
      const { log: _, hub: __, signal: ___, ...what } = options;
      const key = JSON.stringify(what);
      const known = entries.get(key);
      const cleared = Promise.all([release(key), known?.model?.stopped === true && retire(key, known)]);
      await abortable(cleared, signal);
      const entry = entries.get(key) ?? begin(key, options);
      entry.holders += 1;
      let held = true;
      const giveBack = async (): Promise<void> => {
        if (!held) return;
        held = false;
        entry.holders -= 1;
        if (entry.model?.stopped === true) await retire(key, entry);
      };
      try {
        return { model: await abortable(entry.loading, signal), [Symbol.asyncDispose]: giveBack };
      } catch (error) {
        await giveBack();
        throw error;
      }
    },
    async close() {
      const all = [...entries.values(), ...retired];
      entries.clear();
      await Promise.all(all.map(end));
    },
  };
}
