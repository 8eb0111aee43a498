import { z } from 'zod';

import { connect, type ConnectionOptions } from './connection.ts';

export interface QdrantServer {
  version: string;
  collections: readonly string[];
  /** What of them the server refuses in strict mode, as Qdrant calls it; those without are not here. */
  strict: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const VERSION = z.object({ version: z.string() });
const COLLECTIONS = z.object({ collections: z.array(z.object({ name: z.string() })) });
const STRICT = z.object({
  config: z.object({ strict_mode_config: z.looseObject({ enabled: z.boolean().nullish() }).nullish() }),
});
/** A server may have any number of collections, and they are alike. */
const LOOKED_AT = 50;

/** What a server is and holds. @throws StoreError as every call of the store does. */
export async function describeServer(
  options: ConnectionOptions,
  signal?: AbortSignal,
): Promise<QdrantServer> {
  const connection = connect(options);
  const root = await connection.call(
    'asking for the version',
    async (api, init) => ({ data: { result: (await api.root({}, init)).data } }),
    signal,
  );
  const listed = await connection.call(
    'listing collections',
    (api, init) => api.getCollections({}, init),
    signal,
  );
  const collections = COLLECTIONS.parse(listed).collections.map(({ name }) => name);
  const strict: Record<string, Record<string, unknown>> = {};
  for (const name of collections.slice(0, LOOKED_AT)) {
    const info = await connection.call(
      `looking at collection "${name}"`,
      (api, init) => api.getCollection({ collection_name: name }, init),
      signal,
    );
    const { enabled, ...limits } = STRICT.parse(info).config.strict_mode_config ?? {};
    if (enabled === true) strict[name] = limits;
  }
  return { version: VERSION.parse(root).version, collections, strict };
}
