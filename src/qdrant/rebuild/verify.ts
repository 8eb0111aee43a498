import { HandlerError } from '../../base/errors.ts';
import { mapConcurrent } from '../../flow/streams.ts';
import type { PointId, VectorStore } from '../store.ts';
import type { RebuildTarget } from './names.ts';

/** What the jobs of a rebuild say of one collection, together. */
export interface FilledPart {
  /** Points that were written, or found done: each once. */
  points: number;
  /** Images that have none. */
  failed: number;
  /** Ids of some of the points, to be looked at; absent: those that the store has first. */
  sample?: readonly PointId[];
}

export interface VerifyOptions {
  store: VectorStore;
  /** What made the vectors, and their length. */
  model: { fingerprint: string; dim: number };
  /** The most images that may have failed, as a part of all; absent: 0.01, or 1 where nothing is replaced. */
  maxFailedShare?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A catalogue has broken files; more of them at once are a fault of whoever serves them. */
const MAX_FAILED_SHARE = 0.01;

/** Points that are looked at where nobody says which. */
const SAMPLE = 16;
const LOOKS = 4;

/**
 * Is the fill what was meant to be there?
 * @throws HandlerError `too_many_failed`; `rebuild_unverified` where points are missing or are not what was written, or
 * where there are none at all and it would replace a collection that has some.
 */
export async function verifyFill(
  target: RebuildTarget,
  part: FilledPart,
  options: VerifyOptions & { replaced: string | null },
): Promise<void> {
  const { store, replaced, signal } = options;
  const count = await store.countExactly(target.fill, signal);
  if (count < part.points) {
    throw unverified(target, `has ${count} points, and ${part.points} were written`);
  }
  const share = options.maxFailedShare ?? (replaced === null ? 1 : MAX_FAILED_SHARE);
  refuseFailures(target, { ...part, count }, share);
  if (count === 0) return refuseEmpty(target, replaced, options);
  const ids = part.sample ?? (await firstIds(target.fill, options));
  const look = (id: PointId): Promise<true> => lookAt(id, target, options);
  for await (const _ of mapConcurrent(ids, LOOKS, look, { signal }));
}

/** Nothing is no replacement: whoever asked for it will have meant something else. */
export async function refuseEmpty(
  target: RebuildTarget,
  replaced: string | null,
  { store, signal }: Pick<VerifyOptions, 'store' | 'signal'>,
): Promise<void> {
  if (replaced === null || !(await store.any(replaced, undefined, signal))) return;
  throw unverified(target, `is empty, and would replace "${replaced}", which is not`);
}

/** A part of all images, and of a few images one. */
function refuseFailures(
  target: RebuildTarget,
  { failed, count }: { failed: number; count: number },
  share: number,
): void {
  const all = count + failed;
  const most = Math.ceil(all * share);
  if (failed <= most) return;
  const message =
    `${failed} of the ${all} images for "${target.name}" failed, and ${most} may (rebuild.max_failed_share ${share}): it is ` +
    `left as it was. "${target.fill}" holds the others: the same job, run again, embeds what it lacks`;
  throw new HandlerError('too_many_failed', message);
}

async function firstIds(fill: string, { store, signal }: VerifyOptions): Promise<PointId[]> {
  for await (const page of store.scroll(fill, { keys: [], pageSize: SAMPLE, signal }))
    return page.map(({ id }) => id);
  return [];
}

async function lookAt(id: PointId, target: RebuildTarget, options: VerifyOptions): Promise<true> {
  const { store, model, signal } = options;
  const point = await store.point(target.fill, id, ['model', 'job_id'], signal);
  const fault = (what: string): HandlerError => unverified(target, `has point ${String(id)} ${what}`);
  if (point === undefined) throw unverified(target, `lacks point ${String(id)}, which was written`);
  const { vector, payload } = point;
  if (vector.length !== model.dim) throw fault(`with ${vector.length} numbers, not ${model.dim}`);
  if (!vector.some((v) => v !== 0)) throw fault('with a vector of zeros');
  if (payload.model !== model.fingerprint)
    throw fault(`of ${String(payload.model)}, not ${model.fingerprint}`);
  if (typeof payload.job_id !== 'string') throw fault('without the job that wrote it');
  return true;
}

function unverified(target: RebuildTarget, what: string): HandlerError {
  const message = `"${target.fill}" ${what}: "${target.name}" is left as it was`;
  return new HandlerError('rebuild_unverified', message);
}
