import { batches, mapConcurrent, type Source } from '../flow/streams.ts';
import type { Condition, VectorStore } from '../qdrant/store.ts';
import type { ImageRef } from './image-ref.ts';
import type { ListingTally } from './listing-tally.ts';

export interface AppendOptions {
  store: VectorStore;
  /** The fingerprint of the model at work. */
  model: string;
  tally: ListingTally;
  /** Points are taken at their word: no image is fetched to see whether it has changed. */
  trustPoints: boolean;
  /**
   * Told of cutouts that have their point while their row does not say so: whoever wrote it died in between, or could
   * not reach the rows.
   */
  unmarked?: ((cutouts: readonly ImageRef[]) => Promise<void>) | undefined;
  signal?: AbortSignal | undefined;
}

/** Images compared with the store at once. */
const BATCH = 256;
/** Batches under way together; one more waits to be taken. */
const BATCHES_AHEAD = 2;

const WITHOUT_MODEL: Condition = { isEmpty: 'model' };

/** What a collection held when it was first met. */
interface Held {
  /** Has any point at all. */
  points: boolean;
  /** Has points without a `model`: written by a worker before this one, partly under other ids. */
  unstamped: boolean;
}

/**
 * Passes on, in order, the images that their collection lacks, and with the hash of their bytes those whose point says
 * of which bytes it was made, by this model: whether they have changed is seen when they are fetched. An image is there
 * where its point carries `model` and no such hash, or is older than both marks. A product that has points without the mark is left out whole, whatever
 * their ids. Another model's point counts as absent. A collection that does not exist lacks everything.
 */
export async function* onlyNew(images: Source<ImageRef>, options: AppendOptions): AsyncGenerator<ImageRef> {
  const collections = new Map<string, Promise<Held>>();
  const held = (collection: string): Promise<Held> => {
    const known = collections.get(collection) ?? inspect(collection, options);
    collections.set(collection, known);
    return known;
  };
  const lacking = async (batch: readonly ImageRef[]): Promise<ImageRef[]> => {
    const parts = Map.groupBy(batch, (ref) => ref.collection);
    const there = await Promise.all(
      [...parts].map(async ([collection, refs]) => stored(collection, refs, await held(collection), options)),
    );
    const found = new Map(there.flatMap((some) => [...some]));
    return batch.flatMap((ref) => {
      const content = found.get(ref);
      return content === undefined ? [ref] : content === null ? [] : [{ ...ref, content }];
    });
  };

  const source = batches(images, BATCH);
  const compared = mapConcurrent(
    source,
    BATCHES_AHEAD,
    async (batch) => ({ batch, left: await lacking(batch) }),
    { ordered: true, signal: options.signal },
  );
  for await (const { batch, left } of compared) {
    options.tally.already_in_collection += batch.length - left.length;
    yield* left;
  }
}

async function inspect(collection: string, { store, signal }: AppendOptions): Promise<Held> {
  if ((await store.inspect(collection, signal)) === null) return { points: false, unstamped: false };
  const [points, unstamped] = await Promise.all([
    store.any(collection, undefined, signal),
    store.any(collection, { must: [WITHOUT_MODEL] }, signal),
  ]);
  return { points, unstamped };
}

/** Those of `refs` that the collection has: with what their point was made of where that can be checked, else null. */
async function stored(
  collection: string,
  refs: readonly ImageRef[],
  held: Held,
  options: AppendOptions,
): Promise<Map<ImageRef, string | null>> {
  const found = new Map<ImageRef, string | null>();
  if (!held.points) return found;
  const { store, model, trustPoints, signal } = options;
  const [payloads, oldProducts] = await Promise.all([
    store.payloads(
      collection,
      refs.map((ref) => ref.pointId),
      ['model', 'content'],
      signal,
    ),
    held.unstamped ? productsWithOldPoints(collection, refs, options) : new Set<unknown>(),
  ]);
  const unmarked: ImageRef[] = [];
  for (const ref of refs) {
    const point = payloads.get(String(ref.pointId));
    const isOurs = point?.model === model;
    const isThere = point !== undefined && (point.model ?? model) === model;
    if (isOurs && typeof point.content === 'string' && !trustPoints) {
      found.set(ref, point.content);
    } else if (isThere || (ref.type === 'product' && oldProducts.has(ref.metadata.product_id))) {
      found.set(ref, null);
      if (isOurs && ref.marked === false) unmarked.push(ref);
    }
  }
  if (unmarked.length > 0) await options.unmarked?.(unmarked);
  return found;
}

/** An old cutout's point may name its product too: it says nothing of the product's own images. */
async function productsWithOldPoints(
  collection: string,
  refs: readonly ImageRef[],
  { store, signal }: AppendOptions,
): Promise<Set<unknown>> {
  const products = new Set<string>();
  for (const { type, metadata } of refs) {
    const id = metadata.product_id;
    if (type === 'product' && typeof id === 'string') products.add(id);
  }
  const found = new Set<unknown>();
  if (products.size === 0) return found;
  const filter = {
    must: [{ key: 'product_id', any: [...products] }, WITHOUT_MODEL],
    mustNot: [{ key: 'source', match: 'cutout' }],
  };
  for await (const page of store.scroll(collection, {
    filter,
    keys: ['product_id'],
    signal,
  })) {
    for (const point of page) found.add(point.payload.product_id);
  }
  return found;
}
