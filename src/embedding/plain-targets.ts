import { HandlerError, messageOf, StoreError } from '../base/errors.ts';
import { rebuildsFrom } from '../qdrant/rebuild/leftovers.ts';
import type { VectorStore } from '../qdrant/store.ts';
import type { JobTargets } from './targets.ts';

interface PlainTargetsOptions {
  names: readonly string[];
  jobId: string;
  store: VectorStore;
}

/** Collections as they are. What a name stands for is to be the same from the job's start to its end. */
export function plainTargets({ names, jobId, store }: PlainTargetsOptions): JobTargets {
  let before: ReadonlyMap<string, string> | undefined;
  return {
    names,
    store,
    doneBy: jobId,
    isServing: true,
    async check(signal) {
      before = await aliasesIfAny(store, signal);
    },
    async begin(size, _counts, signal) {
      for (const name of names) await store.ensure(name, size, signal);
    },
    met: () => undefined,
    async finish({ warn, signal }) {
      const now = await aliasesIfAny(store, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        warn(`whether a collection was replaced meanwhile could not be read: ${messageOf(error)}`);
        return undefined;
      });
      if (before === undefined || now === undefined) return undefined;
      const [switched] = names.filter((name) => now.get(name) !== before?.get(name));
      if (switched !== undefined) {
        const message = `"${switched}" was replaced by another collection while this job wrote to it: run it again`;
        throw new HandlerError('collection_changed', message, { retryable: true });
      }
      for (const name of names) {
        if (rebuildsFrom(now, now.get(name) ?? name).length === 0) continue;
        warn(
          `"${name}" is being rebuilt, or a rebuild of it was left unfinished: once it serves, append again what this job has added`,
        );
      }
      return undefined;
    },
  };
}

/** Undefined where the key may not list them: then nobody has switched with it either. */
async function aliasesIfAny(
  store: VectorStore,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    return await store.aliases(signal);
  } catch (error) {
    if (error instanceof StoreError && !error.retryable) return undefined;
    throw error;
  }
}
