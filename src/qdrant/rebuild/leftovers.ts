import type { StoreNames, VectorStore } from '../store.ts';
import { holdersOf, isMark, parseFill, rebuildTarget, replacedBy, servedAs, servingOf } from './names.ts';
import { removeReplaced } from './switch.ts';

/** A collection that a rebuild has filled, or begun to, and that no name stands for. */
export interface Leftover {
  collection: string;
  /** The name that it was to serve, or has served. */
  name: string;
  /** The rebuild's: of the job that began it, unless that said another. */
  rebuildId: string;
}

export interface LeftoverOptions {
  store: VectorStore;
  signal?: AbortSignal | undefined;
}

export interface TidyOptions extends LeftoverOptions {
  /** Changes nothing: only says what would be. */
  dryRun?: boolean | undefined;
}

export interface Completed {
  /** Names that led nowhere, as their run died between removing a plain collection and its alias. */
  completed: string[];
  /** Collections that names stood for before, and that the run which replaced them died too early to remove. */
  replaced: string[];
}

/** By the collection's name. What is kept on request is none: its name stands for it. */
export async function findLeftovers({ store, signal }: LeftoverOptions): Promise<Leftover[]> {
  const there = await store.names(signal);
  return [...there.collections].sort().flatMap((collection) => leftoverOf(there, collection) ?? []);
}

function leftoverOf(there: StoreNames, collection: string): Leftover | undefined {
  const fill = parseFill(collection);
  if (fill === undefined || servedAs(there, collection).length > 0) return undefined;
  // Found complete, while what it replaces was being removed: it may be the only one by now.
  if (there.aliases.has(rebuildTarget(fill.name, fill.id).checked)) return undefined;
  return { collection, name: fill.name, rebuildId: fill.id };
}

/**
 * Removes leftovers of rebuilds that nobody goes on with, and their notes; whoever knows the jobs says which. One that
 * serves since it was found, or is about to, stays.
 * @returns those that were removed
 */
export async function removeLeftovers({
  store,
  signal,
  isOver,
  dryRun = false,
}: TidyOptions & { isOver: (leftover: Leftover) => Promise<boolean> }): Promise<Leftover[]> {
  const removed: Leftover[] = [];
  for (const leftover of await findLeftovers({ store, signal })) {
    if (!(await isOver(leftover))) continue;
    const { collection, name, rebuildId } = leftover;
    if (leftoverOf(await store.names(signal), collection) === undefined) continue;
    if (!dryRun) {
      await store.drop(collection, signal);
      await store.changeAliases(new Map([[rebuildTarget(name, rebuildId).from, null]]), signal);
    }
    removed.push(leftover);
  }
  return removed;
}

/**
 * Ends what a run has begun that died in the middle: puts an alias in place where a plain collection was removed for it
 * (its name leads nowhere until then), and removes what a name stood for before. The job, run again, does the same.
 */
export async function completeRebuilds({ store, signal, dryRun = false }: TidyOptions): Promise<Completed> {
  const there = await store.names(signal);
  const targets = [...there.collections].flatMap((collection) => {
    const fill = parseFill(collection);
    return fill === undefined ? [] : [rebuildTarget(fill.name, fill.id)];
  });
  const open = targets.filter(
    ({ name, fill, checked }) => servingOf(there, name) === null && there.aliases.get(checked) === fill,
  );
  const switched = targets.filter(({ name, fill, from }) => {
    return there.aliases.get(name) === fill && there.aliases.has(from);
  });
  if (!dryRun) {
    await store.changeAliases(new Map(open.map(({ name, fill }) => [name, fill])), signal);
    await store.changeAliases(new Map(open.map(({ checked }) => [checked, null])), signal);
    for (const target of switched) await removeReplaced(target, { store, lateSignal: signal });
  }
  const replaced = switched.flatMap((target) => {
    const before = replacedBy(there, target);
    return before === null || holdersOf(there, before).length > 0 ? [] : [before];
  });
  return { completed: open.map(({ name }) => name), replaced };
}

/** Rebuilds that are under way from this collection, or were left so: what is appended to it now is not in them. */
export function rebuildsFrom(aliases: ReadonlyMap<string, string>, collection: string): string[] {
  return [...aliases].flatMap(([alias, of]) => (of === collection && isMark(alias) ? [alias] : []));
}
