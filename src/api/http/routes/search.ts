import { z } from 'zod';

import { HandlerError } from '../../../base/errors.ts';
import { EMBEDDING_FIELDS } from '../../../embedding/input.ts';
import { uuid, wholeNumber } from '../../../job/fields.ts';
import { requestKind } from '../../requests/request-kind.ts';
import { SEARCH_RESULT, searchByCutout, searchByImage } from '../../search/search.ts';
import { limitParam } from '../cursor.ts';
import type { ApiParts } from '../parts.ts';
import { answerSchema, defineRoute, type Route } from '../route.ts';

const MAX_RESULTS = 100;
const RESULTS = 10;
const MAX_IMAGE_BYTES = 20 * 2 ** 20;
const collection = EMBEDDING_FIELDS.shape.collection_name.unwrap();

const CUTOUT_SEARCH = requestKind({
  name: 'CutoutSearch',
  schema: z.object(
    {
      collection: collection.describe('What to search: a collection of products, as a rule.'),
      cutout_id: uuid().describe('Row of cutout_images, embedded before.'),
      cutout_collection: collection
        .optional()
        .describe("Where the cutout's vector is. Default: as the row of the collection says."),
      limit: wholeNumber(1, MAX_RESULTS).default(RESULTS).describe(`How many at most, up to ${MAX_RESULTS}.`),
    },
    { error: 'expected an object' },
  ),
});
const RESULT = answerSchema('SearchResult', SEARCH_RESULT);

export function searchRoutes({ database, store, lookup, embedImage }: ApiParts): Route[] {
  const success = { status: 200, description: 'What is nearest.', schema: RESULT } as const;
  const byCutout = defineRoute({
    method: 'POST',
    path: '/v1/search',
    operationId: 'searchByCutout',
    tag: 'Search',
    summary: 'Search a collection with a cutout that is embedded already',
    shape: { body: CUTOUT_SEARCH },
    success,
    problems: [404, 409],
    run: async ({ body, signal }) => ({ body: await searchByCutout(body, { database, store, signal }) }),
  });
  const byImage = defineRoute({
    method: 'POST',
    path: '/v1/search/image',
    operationId: 'searchByImage',
    tag: 'Search',
    summary: 'Search a collection with an image, sent as the body',
    shape: {
      query: z.object({
        collection: collection.describe('What to search.'),
        model_id: uuid()
          .optional()
          .describe('Row of embedding_models that filled the collection. Default: as its row says.'),
        limit: limitParam(MAX_RESULTS, RESULTS),
      }),
      body: 'image',
    },
    success,
    problems: [404, 409, 501],
    maxBytes: MAX_IMAGE_BYTES,
    async run({ query, body, signal }) {
      if (embedImage === undefined) {
        const message = 'this API embeds no images: set RUNPOD_ENDPOINT_EMBEDDING, or API_EMBED_HERE=1';
        throw new HandlerError('search_not_served', message);
      }
      const parts = { database, store, lookup: lookup(signal), embedImage, signal };
      return { body: await searchByImage(body, query, parts) };
    },
  });
  return [byCutout, byImage];
}
