import type { Connection } from './connection.ts';

/** What an alias is to name from then on; null: it is removed. One that is not there may be removed too. */
export type AliasChanges = ReadonlyMap<string, string | null>;

/** What there is by name. */
export interface StoreNames {
  collections: ReadonlySet<string>;
  /** The collection of each alias. */
  aliases: ReadonlyMap<string, string>;
}

export async function readNames(
  connection: Connection,
  signal: AbortSignal | undefined,
): Promise<StoreNames> {
  const { collections } = await connection.call(
    'listing the collections',
    (api, init) => api.getCollections({}, init),
    signal,
  );
  // Afterwards: of a collection that is made beside an alias of its own, set first, nobody sees the one alone.
  const aliases = await readAliases(connection, signal);
  return { collections: new Set(collections.map(({ name }) => name)), aliases };
}

export async function readAliases(
  connection: Connection,
  signal: AbortSignal | undefined,
): Promise<Map<string, string>> {
  const { aliases } = await connection.call(
    'listing the aliases',
    (api, init) => api.getCollectionsAliases({}, init),
    signal,
  );
  return new Map(aliases.map(({ alias_name: alias, collection_name: name }) => [alias, name]));
}

/**
 * All of them in one request: nobody sees some of them made. An alias that is there is set over, not removed first:
 * Qdrant applies one after the other, and keeps those before one that it refuses.
 */
export async function changeAliases(
  connection: Connection,
  changes: AliasChanges,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (changes.size === 0) return;
  const all = [...changes];
  const actions = [
    ...all.flatMap(([alias_name, collection_name]) =>
      collection_name === null ? [] : [{ create_alias: { alias_name, collection_name } }],
    ),
    ...all.flatMap(([alias_name, collection_name]) =>
      collection_name === null ? [{ delete_alias: { alias_name } }] : [],
    ),
  ];
  const what = `setting ${all.map(([alias, name]) => `"${alias}" to ${name ?? 'nothing'}`).join(', ')}`;
  await connection.call(what, (api, init) => api.updateAliases({ actions }, init), signal);
}

/** Its aliases go with it. One that is not there is no error. */
export async function dropCollection(
  connection: Connection,
  collection: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await connection.call(
    `removing collection "${collection}"`,
    (api, init) => api.deleteCollection({ collection_name: collection }, init),
    signal,
  );
}
