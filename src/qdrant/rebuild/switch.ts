import type { VectorStore } from '../store.ts';
import { copyCollection } from './copy.ts';
import { holdersOf, replacedBy, servingOf, type Rebuild, type RebuildTarget } from './names.ts';

export interface SwitchOptions {
  store: VectorStore;
  rebuild: Pick<Rebuild, 'keepReplaced'>;
  /** Asked last, before anything is removed or switched: what it throws leaves all as it is. */
  confirm?: () => Promise<void>;
  signal?: AbortSignal | undefined;
  /** Of what is not to be left half done: removing a plain collection, and the alias in its place. */
  lateSignal?: AbortSignal | undefined;
}

/**
 * Lets the names stand for what was filled, all of them in one request. A plain collection of such a name is removed
 * just before that: between the two its name leads nowhere. Each step may be repeated, by this run or a later one.
 */
export async function switchTargets(
  targets: readonly RebuildTarget[],
  options: SwitchOptions,
): Promise<void> {
  const { store, rebuild, signal, lateSignal = signal } = options;
  const there = await store.names(signal);
  const plain = targets.filter(({ name }) => there.collections.has(name));
  if (rebuild.keepReplaced) {
    for (const { name, kept } of plain) await copyCollection({ store, from: name, to: kept, signal });
  }
  await options.confirm?.();
  signal?.throwIfAborted();
  if (plain.length > 0)
    await store.changeAliases(new Map(targets.map(({ checked, fill }) => [checked, fill])), lateSignal);
  await Promise.all(plain.map(({ name }) => store.drop(name, lateSignal)));
  const changes = targets.flatMap((target): [string, string | null][] => {
    const { name, fill, from, checked, kept } = target;
    const before = there.aliases.get(name);
    return [
      [name, fill],
      [checked, null],
      // What is kept is noted no longer as something to be removed, in the same request.
      ...(rebuild.keepReplaced && before !== undefined ? keeping({ kept, from, before }) : []),
    ];
  });
  await store.changeAliases(new Map(changes), lateSignal);
}

function keeping(names: { kept: string; from: string; before: string }): [string, string | null][] {
  return [
    [names.kept, names.before],
    [names.from, null],
  ];
}

/**
 * Removes what a switched target has replaced, and the note of it. What another alias names stays, as does what no
 * rebuild has filled: its own name is one that somebody may search by.
 * @returns the names that hold it
 */
export async function removeReplaced(
  target: RebuildTarget,
  { store, lateSignal }: Pick<SwitchOptions, 'store' | 'lateSignal'>,
): Promise<string[]> {
  const there = await store.names(lateSignal);
  const replaced = replacedBy(there, target);
  if (replaced === null || servingOf(there, target.name) !== target.fill) return [];
  const holders = holdersOf(there, replaced);
  if (holders.length === 0) await store.drop(replaced, lateSignal);
  await store.changeAliases(new Map([[target.from, null]]), lateSignal);
  return holders;
}
