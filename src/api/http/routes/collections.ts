import { z } from 'zod';

import { HandlerError } from '../../../base/errors.ts';
import { EMBEDDING_FIELDS } from '../../../embedding/input.ts';
import { COLLECTION_ROW, listCollections } from '../../search/collection-rows.ts';
import { cursorParam, decodeCursor, encodeCursor, limitParam } from '../cursor.ts';
import type { ApiParts } from '../parts.ts';
import { answerSchema, defineRoute, type Route } from '../route.ts';

const MAX_LISTED = 200;
const LISTED = 50;
const NAME_PLACE = z.object({ name: z.string().min(1).max(255) });

const LIST = answerSchema(
  'CollectionList',
  z.object({ items: z.array(COLLECTION_ROW), next_cursor: z.string().nullable() }),
);
const DETAILS = answerSchema(
  'CollectionDetails',
  z.object({
    name: z.string(),
    size: z.int().describe("The vectors' length."),
    distance: z.string(),
    points: z.int().describe('As the vector store counts them now.'),
    products: z.int().describe('Points of products.'),
    cutouts: z.int().describe('Points of cutouts.'),
    row: COLLECTION_ROW.nullable().describe('Its row in embedding_collections.'),
  }),
);

export function collectionRoutes({ database, store }: ApiParts): Route[] {
  const list = defineRoute({
    method: 'GET',
    path: '/v1/collections',
    operationId: 'listCollections',
    tag: 'Collections',
    summary: 'Collections that jobs have filled, by name',
    shape: { query: z.object({ limit: limitParam(MAX_LISTED, LISTED), cursor: cursorParam() }) },
    success: { status: 200, description: 'A list, and where it goes on.', schema: LIST },
    async run({ query: { limit, cursor }, signal }) {
      const after = decodeCursor(NAME_PLACE, cursor)?.name;
      const items = await listCollections(database, { limit, after, signal });
      const last = items.at(-1);
      const isFull = items.length === limit && last !== undefined;
      return { body: { items, next_cursor: isFull ? encodeCursor({ name: last.name }) : null } };
    },
  });
  const one = defineRoute({
    method: 'GET',
    path: '/v1/collections/{name}',
    operationId: 'getCollection',
    tag: 'Collections',
    summary: 'One collection, as the vector store has it now',
    shape: {
      params: z.object({ name: EMBEDDING_FIELDS.shape.collection_name.unwrap().describe('Its name.') }),
    },
    success: { status: 200, description: 'The collection.', schema: DETAILS },
    problems: [404],
    async run({ params: { name }, signal }) {
      const shape = await store.inspect(name, signal);
      if (shape === null) throw new HandlerError('collection_not_found', `there is no collection "${name}"`);
      const ofSource = (source: string): Promise<number> =>
        store.count(name, { must: [{ key: 'source', match: source }] }, signal);
      const [points, products, cutouts, [row = null]] = await Promise.all([
        store.count(name, undefined, signal),
        ofSource('product'),
        ofSource('cutout'),
        listCollections(database, { limit: 1, name, signal }),
      ]);
      return { body: { name, ...shape, points, products, cutouts, row } };
    },
  });
  return [list, one];
}
