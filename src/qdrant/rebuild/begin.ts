import { HandlerError } from '../../base/errors.ts';
import type { StoreNames, VectorStore } from '../store.ts';
import { rebuildTarget, replacedBy, servedAs, servingOf, type Rebuild, type RebuildTarget } from './names.ts';
import { switchTargets } from './switch.ts';

export interface BeginOptions {
  store: VectorStore;
  rebuild: Rebuild;
  /** The collections, by the names that they serve. */
  names: readonly string[];
  signal?: AbortSignal | undefined;
}

/**
 * Refuses what could not be switched in the end. Reads, and writes nothing.
 * @throws HandlerError `collection_exists`, `collection_changed`, `collection_in_use`
 */
export async function checkRebuild({ store, rebuild, names, signal }: BeginOptions): Promise<void> {
  const there = await store.names(signal);
  for (const name of names) {
    const target = rebuildTarget(name, rebuild.id);
    if (there.aliases.get(name) === target.fill) continue;
    if (there.collections.has(target.fill)) refuseChanged(there, target);
    if (servingOf(there, name) !== null && !rebuild.replace) throw existing(name);
    refuseHeld(there, name);
    if (there.collections.has(name)) await refuseUncopied(name, { store, rebuild, signal });
  }
}

/**
 * Makes the collections that are filled, with this vector length, and notes what they are to replace. Where an earlier
 * run of the rebuild has died between removing a plain collection and putting its alias in place, that is done first.
 * @throws what `checkRebuild` throws
 */
export async function beginRebuild(options: BeginOptions, size: number): Promise<void> {
  const { store, rebuild, names, signal } = options;
  await checkRebuild(options);
  const there = await store.names(signal);
  const targets = names.map((name) => rebuildTarget(name, rebuild.id));
  const checked = targets.filter((t) => there.aliases.has(t.checked));
  if (checked.length > 0) await switchTargets(checked, { store, rebuild, signal });
  const fresh = targets.filter(({ fill }) => !there.collections.has(fill));
  // Before the fill: from then on it is what the rebuild began from, whatever serves later.
  await store.changeAliases(new Map(fresh.map(({ name, from }) => [from, servingOf(there, name)])), signal);
  for (const { fill } of targets) await store.ensure(fill, size, signal);
}

/** @throws HandlerError `collection_changed` where something else serves than when the filling began */
export function refuseChanged(there: StoreNames, target: RebuildTarget): void {
  const serving = servingOf(there, target.name);
  const before = replacedBy(there, target);
  if (serving === before) return;
  const message =
    `"${target.name}" is ${quoted(serving)} by now, and was ${quoted(before)} when this rebuild began: another one was ` +
    `faster. "${target.fill}" is left as it is`;
  throw new HandlerError('collection_changed', message);
}

function quoted(name: string | null): string {
  return name === null ? 'nothing' : `"${name}"`;
}

function existing(name: string): HandlerError {
  const message = `"${name}" exists already, and this job is not to replace it: use another name, or rebuild.replace`;
  return new HandlerError('collection_exists', message);
}

/**
 * A plain collection has to be removed before an alias can have its name, and its other aliases would go with it.
 * @throws HandlerError `collection_in_use` where it has some
 */
export function refuseHeld(there: StoreNames, name: string): void {
  const others = there.collections.has(name) ? servedAs(there, name) : [];
  if (others.length === 0) return;
  const message = `collection "${name}" has to make way for an alias of its name, and is also what "${others.join('", "')}" names: remove that alias first`;
  throw new HandlerError('collection_in_use', message);
}

async function refuseUncopied(
  name: string,
  { store, rebuild, signal }: Omit<BeginOptions, 'names'>,
): Promise<void> {
  if (!rebuild.keepReplaced) return;
  const shape = await store.inspect(name, signal);
  if (shape === null || shape.distance === 'Cosine') return;
  const message = `collection "${name}" measures ${shape.distance} distance: no copy of it can be kept; leave keep_replaced out`;
  throw new HandlerError('collection_in_use', message);
}
