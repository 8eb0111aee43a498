import type { PGlite } from '@electric-sql/pglite';

import * as collections from './collections.ts';
import type { Collection } from './collections.ts';
import * as points from './points.ts';
import * as requests from './requests.ts';
import { parseBody } from './requests.ts';

interface Call {
  database: PGlite;
  /** The path's variable parts, decoded. */
  names: readonly string[];
  body: unknown;
  /** `?wait=true`: the answer says `completed`. The work is done before the answer in any case. */
  wait: boolean;
}

/** A result as a value, or as JSON text that is made already. */
export type Result = { value: unknown } | { json: string };

interface Route {
  method: string;
  /** Segments; `*` takes any name. */
  path: readonly string[];
  run(call: Call): Promise<Result>;
}

/** The version of Qdrant whose answers these are. */
export const QDRANT_VERSION = '1.19.0';

export const ROUTES: readonly Route[] = [
  route('GET', 'collections', async ({ database }) => ({
    collections: await collections.listCollections(database),
  })),
  route('GET', 'aliases', async ({ database }) => ({ aliases: await collections.listAliases(database) })),
  route('POST', 'collections/aliases', ({ database, body }) =>
    collections.changeAliases(database, parseBody(requests.CHANGE_ALIASES, body).actions),
  ),
  route('GET', 'collections/*/exists', async ({ database, names: [name = ''] }) => ({
    exists: await collections.collectionExists(database, name),
  })),
  route('PUT', 'collections/*', ({ database, names: [name = ''], body }) => {
    const { vectors } = parseBody(requests.CREATE_COLLECTION, body);
    return collections.createCollection(database, { name, ...vectors });
  }),
  route('DELETE', 'collections/*', ({ database, names: [name = ''] }) =>
    collections.deleteCollection(database, name),
  ),
  of('GET', 'collections/*', ({ database }, collection) =>
    collections.describeCollection(database, collection),
  ),
  of('GET', 'collections/*/aliases', async ({ database }, collection) => ({
    aliases: await collections.listAliases(database, collection),
  })),
  of('PUT', 'collections/*/index', async (call, collection) => {
    const { field_name: field, field_schema: type } = parseBody(requests.CREATE_INDEX, call.body);
    return updated(call, await collections.createIndex(call.database, collection, { field, type }));
  }),
  of('DELETE', 'collections/*/index/*', async (call, collection) => {
    const field = call.names[1] ?? '';
    return updated(call, await collections.deleteIndex(call.database, collection, field));
  }),
  of('PUT', 'collections/*/points', async (call, collection) => {
    const request = parseBody(requests.UPSERT(call.body), call.body);
    return updated(call, await points.upsertPoints(call.database, collection, request.points));
  }),
  of('POST', 'collections/*/points/delete', async (call, collection) => {
    const which = parseBody(requests.DELETE_POINTS, call.body);
    return updated(call, await points.deletePoints(call.database, collection, which));
  }),
  of('POST', 'collections/*/points/count', async ({ database, body }, collection) => ({
    count: await points.countPoints(database, collection, parseBody(requests.COUNT, body)),
  })),
  text('collections/*/points', ({ database, body }, collection) =>
    points.retrievePoints(database, collection, parseBody(requests.RETRIEVE, body)),
  ),
  text('collections/*/points/scroll', ({ database, body }, collection) =>
    points.scrollPoints(database, collection, parseBody(requests.SCROLL, body)),
  ),
  text('collections/*/points/query', ({ database, body }, collection) =>
    points.queryPoints(database, collection, parseBody(requests.QUERY, body)),
  ),
  text('collections/*/points/query/batch', async ({ database, body }, collection) => {
    const { searches } = parseBody(requests.QUERY_BATCH, body);
    const answers = await Promise.all(
      searches.map((search) => points.queryPoints(database, collection, search)),
    );
    return `[${answers.join(',')}]`;
  }),
];

function updated({ wait }: Call, operation: number): { operation_id: number; status: string } {
  return { operation_id: operation, status: wait ? 'completed' : 'acknowledged' };
}

function route(method: string, path: string, run: (call: Call) => Promise<unknown>): Route {
  return { method, path: path.split('/'), run: async (call) => ({ value: await run(call) }) };
}

/** A route whose first name is that of a collection or an alias, which has to be there. */
function of(
  method: string,
  path: string,
  run: (call: Call, collection: Collection) => Promise<unknown>,
): Route {
  return route(method, path, async (call) => run(call, await collectionOf(call)));
}

/** The same, for answers that are JSON text already. */
function text(path: string, run: (call: Call, collection: Collection) => Promise<string>): Route {
  return {
    method: 'POST',
    path: path.split('/'),
    run: async (call) => ({ json: await run(call, await collectionOf(call)) }),
  };
}

function collectionOf({ database, names: [name = ''] }: Call): Promise<Collection> {
  return collections.findCollection(database, name);
}
