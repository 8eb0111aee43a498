import type { PGlite } from '@electric-sql/pglite';

import { nextOperation, type Collection } from './collections.ts';
import { encodeCopy } from './copy-format.ts';
import { badBody, Fault, wrongInput } from './fault.ts';
import { createParameters, filterToSql } from './filter-sql.ts';
import { fromStored, toStored } from './json.ts';
import { choosePayload, type PayloadChoice } from './payload-path.ts';
import { keyToJson, type PointKey } from './point-key.ts';
import type { Distance, PointRequest, QueryRequest } from './requests.ts';

/** pgvector's operators, smallest first. Cosine is the inner product of what is normalised when it is stored. */
const OPERATORS: Readonly<Record<Distance, string>> = {
  Cosine: '<#>',
  Dot: '<#>',
  Euclid: '<->',
  Manhattan: '<+>',
};

/** float32's epsilon; and how near to 1 a length counts as normalised. Both are Qdrant's. */
const ZERO_LENGTH = 1.1920929e-7;
const NORMALISED_WITHIN = 1e-6;

interface Selection {
  with_payload: PayloadChoice;
  with_vector: boolean;
}

interface Row {
  id: PointKey;
  payload: string;
  vector: string;
  version: number;
  measure: number;
}

/** Writes all of the points or none; a point that is there already is replaced. */
export async function upsertPoints(
  database: PGlite,
  collection: Collection,
  points: readonly PointRequest[],
): Promise<number> {
  // The last of those with one id counts.
  const byId = new Map(
    points.map(({ id, vector, payload }) => [
      id,
      { id, vector: toStoredVector(vector, collection), payload: toStored(payload) },
    ]),
  );
  try {
    return await database.transaction(async (tx) => {
      const version = await nextOperation(tx, collection);
      const blob = new Blob([encodeCopy([...byId.values()], version)]);
      await tx.query(`COPY staged FROM '/dev/blob' WITH (FORMAT binary)`, [], { blob });
      await tx.exec(`
        INSERT INTO ${collection.table} SELECT * FROM staged
        ON CONFLICT (id) DO UPDATE
        SET version = excluded.version, vector = excluded.vector, payload = excluded.payload;
        TRUNCATE staged`);
      return version;
    });
  } catch (error) {
    // Half a surrogate pair is JSON to JavaScript, and no text to Postgres and Qdrant.
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === '22P02' || code === '22P05') throw badBody('a text in a payload is not valid unicode');
    throw error;
  }
}

export async function deletePoints(
  database: PGlite,
  collection: Collection,
  which: { points: PointKey[] } | { filter?: unknown },
): Promise<number> {
  const parameters = createParameters();
  const where =
    'points' in which
      ? `id = ANY(${parameters.add(which.points)}::text[])`
      : filterToSql(which.filter, parameters);
  return database.transaction(async (tx) => {
    await tx.query(`DELETE FROM ${collection.table} WHERE ${where}`, parameters.values);
    return nextOperation(tx, collection);
  });
}

/** The points as JSON text, in the order of the ids; ids that are not there are left out. */
export async function retrievePoints(
  database: PGlite,
  collection: Collection,
  { ids, ...selection }: Selection & { ids: readonly PointKey[] },
): Promise<string> {
  const { rows } = await database.query<Row>(
    `SELECT ${columns(selection)} FROM ${collection.table} WHERE id = ANY($1::text[])`,
    [[...new Set(ids)]],
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  const found = [...new Set(ids)].flatMap((id) => byId.get(id) ?? []);
  return `[${found.map((row) => pointJson(row, selection)).join(',')}]`;
}

export async function scrollPoints(
  database: PGlite,
  collection: Collection,
  {
    filter,
    offset,
    limit,
    ...selection
  }: Selection & { filter?: unknown; offset: PointKey | undefined; limit: number },
): Promise<string> {
  const parameters = createParameters();
  const from = offset === undefined ? 'true' : `id >= ${parameters.add(offset)}`;
  const where = `${from} AND ${filterToSql(filter, parameters)}`;
  const { rows } = await database.query<Row>(
    `SELECT ${columns(selection)} FROM ${collection.table} WHERE ${where}
     ORDER BY id LIMIT ${parameters.add(limit + 1)}`,
    parameters.values,
  );
  const next = rows[limit];
  const points = rows.slice(0, limit).map((row) => pointJson(row, selection));
  return `{"points":[${points.join(',')}],"next_page_offset":${next === undefined ? 'null' : keyToJson(next.id)}}`;
}

export async function countPoints(
  database: PGlite,
  collection: Collection,
  { filter }: { filter?: unknown },
): Promise<number> {
  const parameters = createParameters();
  const { rows } = await database.query<{ count: number }>(
    `SELECT count(*) FROM ${collection.table} WHERE ${filterToSql(filter, parameters)}`,
    parameters.values,
  );
  return rows[0]?.count ?? 0;
}

/** Exact nearest neighbours: every point that passes the filter is compared. */
export async function queryPoints(
  database: PGlite,
  collection: Collection,
  request: QueryRequest,
): Promise<string> {
  const parameters = createParameters();
  const { query } = request;
  const conditions: string[] = [];
  let target: string;
  if ('key' in query) {
    target = await vectorOf(database, collection, query.key);
    // A point is not its own neighbour.
    conditions.push(`id <> ${parameters.add(query.key)}`);
  } else {
    target = `[${toStoredVector(query.vector, collection).join(',')}]`;
  }
  conditions.push(filterToSql(request.filter, parameters));
  const measure = `(vector ${OPERATORS[collection.distance]} ${parameters.add(target)}::text::vector)`;
  const similar = isSimilarity(collection.distance);
  if (request.score_threshold !== undefined) {
    const bound = parameters.add(similar ? -request.score_threshold : request.score_threshold);
    conditions.push(`${measure} < ${bound}::double precision`);
  }
  const { rows } = await database.query<Row>(
    `SELECT ${columns(request)}, ${measure} AS measure FROM ${collection.table}
     WHERE ${conditions.join(' AND ')} ORDER BY measure, id
     LIMIT ${parameters.add(request.limit)} OFFSET ${parameters.add(request.offset)}`,
    parameters.values,
  );
  const points = rows.map((row) => {
    const score = similar ? 0 - row.measure : row.measure;
    return pointJson(row, request, `,"version":${String(row.version)},"score":${JSON.stringify(score)}`);
  });
  return `{"points":[${points.join(',')}]}`;
}

async function vectorOf(database: PGlite, collection: Collection, key: PointKey): Promise<string> {
  const { rows } = await database.query<{ vector: string }>(
    `SELECT vector::text FROM ${collection.table} WHERE id = $1`,
    [key],
  );
  const [row] = rows;
  if (row === undefined) throw new Fault(404, `Not found: No point with id ${keyToJson(key)} found`);
  return row.vector;
}

/** float32, and of length 1 where the collection measures cosine, as Qdrant keeps them. */
function toStoredVector(numbers: readonly number[], { size, distance }: Collection): Float32Array {
  if (numbers.length !== size) {
    const got = String(numbers.length);
    throw wrongInput(`Vector dimension error: expected dim: ${String(size)}, got ${got}`);
  }
  const vector = new Float32Array(size);
  let squares = 0;
  for (let i = 0; i < size; i += 1) {
    const value: unknown = numbers[i];
    const rounded = typeof value === 'number' ? Math.fround(value) : Number.NaN;
    if (!Number.isFinite(rounded)) throw badBody(`vector[${String(i)}]: expected a float32 number`);
    vector[i] = rounded;
    squares += rounded * rounded;
  }
  if (distance !== 'Cosine') return vector;
  if (squares < ZERO_LENGTH || Math.abs(squares - 1) <= NORMALISED_WITHIN) return vector;
  const length = Math.sqrt(squares);
  return vector.map((v) => v / length);
}

function isSimilarity(distance: Distance): boolean {
  return distance === 'Cosine' || distance === 'Dot';
}

/** Only what the answer needs: making text of a page of vectors takes longer than finding them. */
function columns({ with_payload: payload, with_vector: vector }: Selection): string {
  return [
    'id, version',
    ...(payload.kind === 'none' ? [] : ['payload::text AS payload']),
    ...(vector ? ['vector::text AS vector'] : []),
  ].join(', ');
}

/** pgvector writes a vector as a JSON list, each number in the shortest form that is exact. */
function pointJson(row: Row, selection: Selection, scored = ''): string {
  const payload =
    selection.with_payload.kind === 'none'
      ? ''
      : `,"payload":${choosePayload(fromStored(row.payload), selection.with_payload)}`;
  const vector = selection.with_vector ? `,"vector":${row.vector}` : '';
  return `{"id":${keyToJson(row.id)}${scored}${payload}${vector}}`;
}
