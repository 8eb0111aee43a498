import type { VectorStore } from '../qdrant/store.ts';
import type { PointedImage } from './image-ref.ts';
import type { Filled } from './targets.ts';

/** Rows that are marked with one request. */
const PAGE = 1_000;

/** The cutouts that have a point in these collections, as their points name them. */
export async function* cutoutsIn(
  collections: ReadonlyMap<string, Filled>,
  store: VectorStore,
  signal: AbortSignal,
): AsyncGenerator<PointedImage[]> {
  for (const [name, { cutout }] of collections) {
    if (cutout === 0) continue;
    const pages = store.scroll(name, { keys: ['id', 'type'], pageSize: PAGE, signal });
    for await (const page of pages) {
      yield page.flatMap(({ id: pointId, payload: { id, type } }) =>
        type === 'cutout' && typeof id === 'string' ? [{ id, type, pointId }] : [],
      );
    }
  }
}
