import type { SearchResult } from '../../api/search/search.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../usage-error.ts';

const RESULTS = 10;
const MAX_RESULTS = 100;

export const search = defineCommand({
  name: 'search',
  summary: 'What in a collection is nearest to a cutout or a picture',
  positionals: { collection: { about: 'What to search: a collection of products, as a rule.' } },
  options: {
    cutout: { kind: 'text', value: 'ID', about: 'A cutout that is embedded already.' },
    image: {
      kind: 'text',
      value: 'FILE',
      about: 'A picture; it is embedded by the endpoint, or with --here.',
    },
    here: { kind: 'flag', about: 'Embed the picture in this process.' },
    limit: { kind: 'count', about: `How many, up to ${MAX_RESULTS}. Default: ${RESULTS}.` },
    'cutout-collection': {
      kind: 'text',
      value: 'NAME',
      about: "Where the cutout's vector is. Default: as the collection's row says.",
    },
    'model-id': {
      kind: 'text',
      value: 'ID',
      about: "The model that filled the collection. Default: as the collection's row says.",
    },
  },
  examples: [
    'search products_dinov2_base --cutout ID --limit 5',
    'search products_dinov2_base --image a.jpg',
  ],
  async run({ args: { collection }, options, io, signal }) {
    const { cutout, image, here, limit = RESULTS } = options;
    if ((cutout === undefined) === (image === undefined))
      throw new UsageError('search needs either --cutout or --image');
    if (limit < 1 || limit > MAX_RESULTS) throw new UsageError(`--limit: expected 1 to ${MAX_RESULTS}`);
    const { searchFor } = await import('../search.ts');
    const found = await searchFor({
      collection,
      limit,
      what: cutout === undefined ? { image: image ?? '', here: here === true } : { cutout },
      cutoutCollection: options['cutout-collection'],
      modelId: options['model-id'],
      signal,
    });
    io.result(found, textOf(found));
    return undefined;
  },
});

const SHOWN = ['type', 'id', 'product_id', 'barcode', 'brand_name', 'product_name'];

function textOf({ results }: SearchResult): string {
  if (results.length === 0) return 'The collection is empty.';
  return results
    .map(({ score, id, payload }) => {
      const known = SHOWN.flatMap((key) =>
        payload[key] === undefined ? [] : [`${key}=${JSON.stringify(payload[key])}`],
      );
      return [score.toFixed(4), String(id), ...known].join('  ');
    })
    .join('\n');
}
