import type { PGlite } from '@electric-sql/pglite';

import { Fault, noCollection, wrongInput } from './fault.ts';
import { createParameters } from './filter-sql.ts';
import { toStored } from './json.ts';
import { parsePayloadPath } from './payload-path.ts';
import type { AliasAction, Distance } from './requests.ts';

export interface Collection {
  name: string;
  /** Its points' table, safe to stand in SQL. */
  table: string;
  size: number;
  distance: Distance;
  indexes: Readonly<Record<string, string>>;
}

/** A row up to a page of 8 KiB may hold its vector itself, which searches three times as fast as one kept apart. */
const MAX_PLAIN_SIZE = 1_800;

interface Row {
  name: string;
  number: number;
  size: number;
  distance: Distance;
  indexes: Record<string, string>;
}

/** By its name or an alias. @throws Fault 404 */
export async function findCollection(database: PGlite, name: string): Promise<Collection> {
  const found = await findIfAny(database, name);
  if (found === undefined) throw noCollection(name);
  return found;
}

export async function collectionExists(database: PGlite, name: string): Promise<boolean> {
  return (await findIfAny(database, name)) !== undefined;
}

async function findIfAny(database: PGlite, name: string): Promise<Collection | undefined> {
  const { rows } = await database.query<Row>(
    `SELECT name, number, size, distance, indexes FROM collections
     WHERE name = $1 OR name = (SELECT collection FROM aliases WHERE alias = $1)`,
    [name],
  );
  const [row] = rows;
  return row === undefined ? undefined : { ...row, table: tableOf(row.number) };
}

export async function listCollections(database: PGlite): Promise<{ name: string }[]> {
  const { rows } = await database.query<{ name: string }>('SELECT name FROM collections ORDER BY name');
  return rows;
}

export async function createCollection(
  database: PGlite,
  { name, size, distance }: { name: string; size: number; distance: Distance },
): Promise<true> {
  // eslint-disable-next-line no-control-regex -- Qdrant's own rule
  if (name.length > 255 || /[<>:"/\\|?*\0-\x1f]/.test(name)) {
    throw new Fault(422, `Validation error in path parameters: [name: not a collection name]`);
  }
  await database.transaction(async (tx) => {
    const { rows } = await tx.query<{ number: number }>(
      `INSERT INTO collections (name, size, distance) SELECT $1, $2, $3
       WHERE NOT EXISTS (SELECT FROM aliases WHERE alias = $1)
       ON CONFLICT DO NOTHING RETURNING number`,
      [name, size, distance],
    );
    const [row] = rows;
    if (row === undefined) throw new Fault(409, `Wrong input: Collection \`${name}\` already exists!`);
    const table = tableOf(row.number);
    const storage = size > MAX_PLAIN_SIZE ? 'EXTERNAL' : 'PLAIN';
    await tx.exec(`
      CREATE TABLE ${table} (
        id text COLLATE "C" PRIMARY KEY,
        version bigint NOT NULL,
        vector vector(${String(size)}) NOT NULL,
        payload jsonb NOT NULL
      );
      ALTER TABLE ${table} ALTER COLUMN vector SET STORAGE ${storage};`);
  });
  return true;
}

/** False where there was none; an alias is no collection here. */
export async function deleteCollection(database: PGlite, name: string): Promise<boolean> {
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<{ number: number }>(
      'DELETE FROM collections WHERE name = $1 RETURNING number',
      [name],
    );
    for (const { number } of rows) await tx.exec(`DROP TABLE ${tableOf(number)}`);
    return rows.length > 0;
  });
}

/** Takes the next operation's number, which is also the version of the points that it changes. */
export async function nextOperation(
  database: Pick<PGlite, 'query'>,
  collection: Collection,
): Promise<number> {
  const { rows } = await database.query<{ operations: number }>(
    'UPDATE collections SET operations = operations + 1 WHERE name = $1 RETURNING operations',
    [collection.name],
  );
  const [row] = rows;
  // Removed since it was found.
  if (row === undefined) throw noCollection(collection.name);
  return row.operations;
}

/** Search reads every point; an index is remembered, and shown, as clients ask which there are. */
export async function createIndex(
  database: PGlite,
  collection: Collection,
  { field, type }: { field: string; type: string },
): Promise<number> {
  parsePayloadPath(field);
  await database.query('UPDATE collections SET indexes = indexes || $2::text::jsonb WHERE name = $1', [
    collection.name,
    toStored({ [field]: type }),
  ]);
  return nextOperation(database, collection);
}

export async function deleteIndex(database: PGlite, collection: Collection, field: string): Promise<number> {
  await database.query('UPDATE collections SET indexes = indexes - $2::text WHERE name = $1', [
    collection.name,
    field,
  ]);
  return nextOperation(database, collection);
}

/** What `GET /collections/{name}` says, in Qdrant's form; what an exact search does not have is zero or the default. */
export async function describeCollection(database: PGlite, collection: Collection): Promise<unknown> {
  const fields = Object.keys(collection.indexes);
  const parameters = createParameters();
  const counts = fields.map((field) => {
    const keys = parsePayloadPath(field).map((segment) => segment.key);
    return `count(*) FILTER (WHERE payload #> ${parameters.add(keys)}::text[] IS NOT NULL)`;
  });
  const { rows } = await database.query<number[]>(
    `SELECT ${['count(*)', ...counts].join(', ')} FROM ${collection.table}`,
    parameters.values,
    { rowMode: 'array' },
  );
  const [points = 0, ...indexed] = rows[0] ?? [];
  return {
    status: 'green',
    optimizer_status: 'ok',
    indexed_vectors_count: 0,
    points_count: points,
    segments_count: 1,
    config: {
      params: {
        vectors: { size: collection.size, distance: collection.distance },
        shard_number: 1,
        replication_factor: 1,
        write_consistency_factor: 1,
        on_disk_payload: true,
      },
      hnsw_config: { m: 0, ef_construct: 100, full_scan_threshold: 10_000 },
      optimizer_config: {
        deleted_threshold: 0.2,
        vacuum_min_vector_number: 1_000,
        default_segment_number: 0,
        flush_interval_sec: 5,
      },
      wal_config: { wal_capacity_mb: 32, wal_segments_ahead: 0 },
      quantization_config: null,
    },
    payload_schema: Object.fromEntries(
      fields.map((field, i) => [field, { data_type: collection.indexes[field], points: indexed[i] }]),
    ),
  };
}

export async function listAliases(
  database: PGlite,
  collection?: Collection,
): Promise<{ alias_name: string; collection_name: string }[]> {
  const { rows } = await database.query<{ alias_name: string; collection_name: string }>(
    `SELECT alias AS alias_name, collection AS collection_name FROM aliases
     WHERE $1::text IS NULL OR collection = $1 ORDER BY alias`,
    [collection?.name ?? null],
  );
  return rows;
}

/** Nobody sees some of them done. As in Qdrant, those before one that is refused stand. */
export async function changeAliases(database: PGlite, actions: readonly AliasAction[]): Promise<true> {
  const fault = await database.transaction(async (tx) => {
    try {
      for (const action of actions) await changeAlias(tx, action);
      return undefined;
    } catch (error) {
      // Thrown here it would take back the others.
      if (error instanceof Fault) return error;
      throw error;
    }
  });
  if (fault !== undefined) throw fault;
  return true;
}

async function changeAlias(database: Pick<PGlite, 'query'>, action: AliasAction): Promise<void> {
  const run = async (text: string, values: string[]): Promise<number> =>
    (await database.query(text, values)).affectedRows ?? 0;
  if ('create_alias' in action) {
    const { alias_name: alias, collection_name: name } = action.create_alias;
    const { rows } = await database.query<{ name: string }>(
      'SELECT name FROM collections WHERE name = ANY($1::text[])',
      [[alias, name]],
    );
    if (rows.some((row) => row.name === alias)) {
      throw wrongInput(`Collection \`${alias}\` already exists!`);
    }
    if (rows.length === 0) throw noCollection(name);
    await run(
      `INSERT INTO aliases VALUES ($1, $2) ON CONFLICT (alias) DO UPDATE SET collection = excluded.collection`,
      [alias, name],
    );
  } else if ('delete_alias' in action) {
    await run('DELETE FROM aliases WHERE alias = $1', [action.delete_alias.alias_name]);
  } else {
    const { old_alias_name: from, new_alias_name: to } = action.rename_alias;
    const changed = await run('UPDATE aliases SET alias = $2 WHERE alias = $1', [from, to]);
    if (changed === 0) throw new Fault(404, `Not found: Alias ${from} does not exists!`);
  }
}

function tableOf(number: number): string {
  return `points_${String(number)}`;
}
