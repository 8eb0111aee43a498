import { randomUUID } from 'node:crypto';

import { beginRebuild } from '../../src/qdrant/rebuild/begin.ts';
import { finishRebuild, type FinishOptions } from '../../src/qdrant/rebuild/finish.ts';
import { rebuildTarget, type Rebuild } from '../../src/qdrant/rebuild/names.ts';
import type { Point, PointId, VectorStore } from '../../src/qdrant/store.ts';

export const MODEL = { fingerprint: 'demo@1', dim: 2 };

export const pointsOf = (ids: readonly PointId[], model = MODEL.fingerprint): Point[] =>
  ids.map((id) => ({ id, vector: Float32Array.of(0.6, 0.8), payload: { model, job_id: 'a job', n: 1 } }));

export const OLD = [1, 2, 3];
export const NEW = [2, 3, 4, 5];

/** What serves a name before it is rebuilt. */
export type Served = 'nothing' | 'an alias' | 'a plain collection';

/** A name of its own, and what serves it. */
export async function served(store: VectorStore, kind: Served): Promise<string> {
  const name = `c_${randomUUID().slice(0, 8)}`;
  if (kind === 'nothing') return name;
  if (kind === 'an alias') {
    await fill(store, [name], rebuildOf());
    await finishRebuild(finishOf(store, name, rebuildOf()));
    return name;
  }
  await store.ensure(name, MODEL.dim);
  await store.upsert(name, pointsOf(OLD));
  return name;
}

export const rebuildOf = (given: Partial<Rebuild> = {}): Rebuild => ({
  id: 'aaaaaaaa-0000-4000-8000-000000000001',
  replace: true,
  keepReplaced: false,
  ...given,
});

/** Begins a rebuild of these names and fills it. */
export async function fill(
  store: VectorStore,
  names: readonly string[],
  rebuild: Rebuild,
  ids: readonly PointId[] = OLD,
): Promise<void> {
  await beginRebuild({ store, rebuild, names }, MODEL.dim);
  for (const name of names) await store.upsert(rebuildTarget(name, rebuild.id).fill, pointsOf(ids));
}

export function finishOf(
  store: VectorStore,
  names: string | readonly string[],
  rebuild: Rebuild,
  given: Partial<FinishOptions> = {},
): FinishOptions {
  const parts = new Map([names].flat().map((name) => [name, { points: OLD.length, failed: 0 }]));
  return { store, rebuild, parts, model: MODEL, maxFailedShare: 0.01, warn: () => undefined, ...given };
}

/** What there is under these names, without what else the store holds. */
export async function stateOf(
  store: VectorStore,
  names: readonly string[],
): Promise<Record<string, unknown>> {
  const there = await store.names();
  const isOurs = (name: string): boolean => names.some((ours) => name.startsWith(ours));
  const aliases = [...there.aliases].filter(([alias]) => isOurs(alias)).sort();
  const collections = await Promise.all(
    [...there.collections]
      .filter(isOurs)
      .sort()
      .map(async (name) => [name, await idsIn(store, name)] as const),
  );
  return { aliases: Object.fromEntries(aliases), collections: Object.fromEntries(collections) };
}

export async function idsIn(store: VectorStore, name: string): Promise<PointId[]> {
  const pages = await Array.fromAsync(store.scroll(name, { keys: [] }));
  return pages.flat().map(({ id }) => id);
}
