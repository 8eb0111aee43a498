import { beginRebuild, checkRebuild } from '../qdrant/rebuild/begin.ts';
import { fillingStore } from '../qdrant/rebuild/filling-store.ts';
import { finishRebuild } from '../qdrant/rebuild/finish.ts';
import { rebuildTarget, servingOf, type Rebuild } from '../qdrant/rebuild/names.ts';
import { refuseEmpty } from '../qdrant/rebuild/verify.ts';
import type { PointId, VectorStore } from '../qdrant/store.ts';
import type { EmbeddingInput } from './input.ts';
import type { JobTargets } from './targets.ts';

interface RebuiltTargetsOptions {
  names: readonly string[];
  jobId: string;
  rebuild: NonNullable<EmbeddingInput['rebuild']>;
  store: VectorStore;
}

/** Points of each collection that are looked at before it serves. */
const SAMPLE = 16;

/** Collections that are filled beside those that serve, and switched to in the end. */
export function rebuiltTargets(options: RebuiltTargetsOptions): JobTargets {
  const { names, store } = options;
  const rebuild = rebuildOf(options.rebuild, options.jobId);
  const fills = new Map(names.map((name) => [name, rebuildTarget(name, rebuild.id).fill]));
  const samples = new Map(names.map((name) => [name, sampler(SAMPLE)]));
  let isServing = false;
  return {
    names,
    store: fillingStore(store, fills),
    doneBy: undefined,
    get isServing() {
      return isServing;
    },
    check: (signal) => checkRebuild({ store, rebuild, names, signal }),
    async begin(size, counts, signal) {
      if (options.rebuild.switch) {
        const there = await store.names(signal);
        for (const name of names) {
          const serving = servingOf(there, name);
          const target = rebuildTarget(name, rebuild.id);
          if (counts.get(name) === 0 && serving !== target.fill)
            await refuseEmpty(target, serving, { store, signal });
        }
      }
      await beginRebuild({ store, rebuild, names, signal }, size);
    },
    met(refs) {
      for (const { collection, pointId } of refs) samples.get(collection)?.take(pointId);
    },
    async finish({ collections, together = false, ...end }) {
      if (!options.rebuild.switch && !together) return undefined;
      const parts = new Map(
        names.map((name) => {
          const { points_written: points = 0, failed = 0 } = collections.get(name) ?? {};
          return [name, { points, failed, sample: samples.get(name)?.taken ?? [] }];
        }),
      );
      const maxFailedShare = options.rebuild.max_failed_share;
      const rebuilt = await finishRebuild({ store, rebuild, parts, maxFailedShare, ...end });
      isServing = true;
      return rebuilt;
    },
  };
}

function rebuildOf(given: NonNullable<EmbeddingInput['rebuild']>, jobId: string): Rebuild {
  return { id: given.id ?? jobId, replace: given.replace, keepReplaced: given.keep_replaced };
}

/** So many of what it is given, each with the same chance. */
function sampler(size: number): { taken: PointId[]; take: (id: PointId) => void } {
  const taken: PointId[] = [];
  let seen = 0;
  return {
    taken,
    take(id) {
      seen += 1;
      const at = taken.length < size ? taken.length : Math.floor(Math.random() * seen);
      if (at < size) taken[at] = id;
    },
  };
}
