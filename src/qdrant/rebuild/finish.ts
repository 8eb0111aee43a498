import { HandlerError } from '../../base/errors.ts';
import { refuseChanged, refuseHeld } from './begin.ts';
import { rebuildTarget, replacedBy, type Rebuild } from './names.ts';
import { removeReplaced, switchTargets, type SwitchOptions } from './switch.ts';
import { verifyFill, type FilledPart, type VerifyOptions } from './verify.ts';

export interface FinishOptions extends Omit<SwitchOptions, 'rebuild'>, VerifyOptions {
  rebuild: Rebuild;
  /** By the name that is to be served, over all jobs of the rebuild. */
  parts: ReadonlyMap<string, FilledPart>;
  warn: (message: string) => void;
}

/** A name and what it stands for since it was switched. */
export interface Rebuilt {
  name: string;
  collection: string;
  /** Where what served before is to be found; null where it was removed, or where there was nothing. */
  kept: string | null;
}

/**
 * The end of a rebuild, when nothing writes to it any more: what was filled is counted and looked at, the names are
 * switched to it, all at once, and what they stood for is removed or kept. It may be called again, by whoever goes on
 * after a death at any point, and ends in the same state.
 * @throws HandlerError `all_images_failed`, `too_many_failed`, `rebuild_unverified`, `collection_changed`,
 * `collection_in_use`: then nothing was switched, what served serves, and what was filled is left; StoreError, or a
 * signal's reason: call it again.
 */
export async function finishRebuild(options: FinishOptions): Promise<Rebuilt[]> {
  const { store, rebuild, parts, signal, lateSignal = signal } = options;
  const there = await store.names(signal);
  const targets = [...parts.keys()].map((name) => rebuildTarget(name, rebuild.id));
  const waiting = targets.filter(({ name, fill }) => there.aliases.get(name) !== fill);
  if (waiting.length > 0) refuseAllFailed(parts);
  for (const target of waiting) {
    refuseChanged(there, target);
    const part = parts.get(target.name) ?? { points: 0, failed: 0 };
    await verifyFill(target, part, { ...options, replaced: replacedBy(there, target) });
  }
  if (waiting.length > 0) {
    // Verifying takes a while: somebody may have switched meanwhile.
    const now = await store.names(signal);
    for (const target of waiting) {
      refuseChanged(now, target);
      refuseHeld(now, target.name);
    }
    await switchTargets(waiting, { ...options, lateSignal });
  }
  for (const target of targets) {
    const holders = await removeReplaced(target, { store, lateSignal });
    if (holders.length > 0)
      options.warn(`what "${target.name}" stood for was not removed: it is "${holders.join('", "')}" too`);
  }
  const after = await store.names(lateSignal);
  // Of two that switched in the same moment, the earlier has not served.
  for (const target of targets)
    if (after.aliases.get(target.name) !== target.fill) refuseChanged(after, target);
  return targets.map(({ name, fill, kept }) => ({
    name,
    collection: fill,
    kept: after.aliases.has(kept) || after.collections.has(kept) ? kept : null,
  }));
}

/** Each job has seen its own images alone. */
function refuseAllFailed(parts: FinishOptions['parts']): void {
  const sum = (key: 'points' | 'failed'): number => [...parts.values()].reduce((n, part) => n + part[key], 0);
  const failed = sum('failed');
  if (failed === 0 || sum('points') > 0) return;
  throw new HandlerError(
    'all_images_failed',
    `all ${failed} images failed: nothing is there to be switched to`,
  );
}
