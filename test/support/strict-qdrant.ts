import type { Instead, TestProxy } from './proxy.ts';

/** What a collection of a strict server allows, as far as this package asks for it; the rest is allowed. */
export interface StrictMode {
  /** False: every key of a filter needs its index. So it is in Qdrant's cloud unless it was changed. */
  unindexed_filtering_retrieve?: boolean;
  search_allow_exact?: boolean;
  max_query_limit?: number;
  upsert_max_batchsize?: number;
  /** No point more once so many were written. */
  max_points_count?: number;
}

/** Makes a proxy in front of the embedded Qdrant, which has no strict mode, answer as one that has. */
export function beStrict(
  proxy: TestProxy,
  { url, apiKey }: { url: string; apiKey: string },
  mode: StrictMode,
): void {
  let written = 0;
  const indexesOf = async (collection: string): Promise<string[]> => {
    const response = await fetch(`${url}${collection}`, { headers: { 'api-key': apiKey } });
    const { result } = (await response.json()) as { result?: { payload_schema?: object } };
    return Object.keys(result?.payload_schema ?? {});
  };
  proxy.intercept = async ({ method, path, body }) => {
    const [, collection = '', action = ''] = /^(\/collections\/[^/?]+)\/points\/?([a-z]*)/.exec(path) ?? [];
    if (collection === '') return undefined;
    const asked = JSON.parse(body) as {
      points?: unknown[];
      filter?: unknown;
      exact?: boolean;
      limit?: number;
    };
    if (method === 'PUT') {
      const points = asked.points?.length ?? 0;
      const refused = overLimit(points, mode.upsert_max_batchsize, 'upsert limit');
      if (refused !== undefined) return refused;
      const { max_points_count: most = Infinity } = mode;
      if (written >= most) return strict(`Max points count limit of ${most} reached!`);
      written += points;
      return undefined;
    }
    const refused =
      action === 'scroll' ? overLimit(asked.limit ?? 10, mode.max_query_limit, 'limit') : undefined;
    if (refused !== undefined) return refused;
    if (mode.unindexed_filtering_retrieve === false && asked.filter !== undefined) {
      const indexes = await indexesOf(collection);
      const missing = keysOf(asked.filter).find((key) => !indexes.includes(key));
      if (missing !== undefined)
        return strict(
          `Index required but not found for "${missing}" of one of the following types: [keyword]`,
        );
    }
    if (action === 'count' && asked.exact === true && mode.search_allow_exact === false)
      return strict('Exact search disabled!');
    return undefined;
  };
}

function overLimit(value: number, limit: number | undefined, name: string): Instead | undefined {
  return limit === undefined || value <= limit
    ? undefined
    : strict(`Limit exceeded ${value} > ${limit} for "${name}"`);
}

const strict = (words: string): Instead => ({
  status: 400,
  error: `Bad request: ${words}. Help: change it.`,
});

/** Of all conditions, nested ones too. */
function keysOf(filter: unknown): string[] {
  if (filter === null || typeof filter !== 'object') return [];
  return Object.entries(filter).flatMap(([name, value]) =>
    name === 'key' && typeof value === 'string' ? [value] : keysOf(value),
  );
}
