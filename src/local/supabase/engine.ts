import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { App, setExperimental } from '@supabase/lite';
import { createPgliteConnection } from '@supabase/lite/pglite';

import { readMigrations } from './migrations.ts';
import { createObjectFiles } from './objects.ts';
import { answerAsPostgrestDoes, isPostgresError, type PostgresError } from './postgres-errors.ts';
import type { Answer } from './serve.ts';
import { signAsStorageDoes } from './signing.ts';
import { readSnapshot, writeSnapshot } from '../snapshot.ts';

export type Row = Record<string, unknown>;

export interface Engine {
  /** Answers a request to `/rest/v1` or `/storage/v1`. */
  answer: Answer;
  /** Runs SQL as the owner of the database; several statements where there are no parameters. */
  sql(text: string, parameters?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** The roles that a hosted project has, and what they may do with tables made later. */
const ROLES_SQL = `
do $$
begin
  if not exists (select from pg_roles where rolname = 'anon') then create role anon nologin; end if;
  if not exists (select from pg_roles where rolname = 'authenticated') then create role authenticated nologin; end if;
  if not exists (select from pg_roles where rolname = 'service_role') then
    create role service_role nologin bypassrls;
  end if;
end $$;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
`;

/**
 * Postgres (PGlite) with PostgREST's and Storage's interfaces in front of it, in this process, our migrations applied.
 * The database lies in `folder/database`, or in memory where `inMemory`; objects always lie in `folder/objects`.
 */
export async function openEngine(options: {
  folder: string;
  inMemory: boolean;
  serviceKey: string;
}): Promise<Engine> {
  const databaseFolder = options.inMemory ? undefined : join(options.folder, 'database');
  const isNew = databaseFolder === undefined || !existsSync(join(databaseFolder, 'PG_VERSION'));
  if (databaseFolder !== undefined) await mkdir(databaseFolder, { recursive: true });
  const migrations = await readMigrations();
  const schema = [ROLES_SQL, ...migrations].join('\n');
  const snapshot = isNew ? await readSnapshot('supabase', schema) : undefined;

  setExperimental('storage', true);
  const connection = await createPgliteConnection({
    ...(databaseFolder === undefined ? {} : { url: databaseFolder }),
    ...(snapshot === undefined ? {} : { pgliteOptions: { loadDataDir: snapshot } }),
  });
  const postgres = connection.driver;
  const app = new App({
    connection,
    auth: { secret_key: options.serviceKey, jwt_secret: randomBytes(32).toString('hex') },
    storage: { enabled: true, file_size_limit: '2GiB' },
    options: { server: { disableStudio: true, disableFallback: true } },
  });
  app._storageAdapter = await createObjectFiles(join(options.folder, 'objects'));
  await app.init();
  await postgres.waitReady;

  const appliedFile = join(options.folder, 'applied.sql');
  const applied = snapshot !== undefined || (await readFile(appliedFile, 'utf8').catch(() => '')) === schema;
  if (!applied) {
    await postgres.exec(ROLES_SQL);
    await app.ensureSystemSchema();
    for (const migration of migrations) await postgres.exec(migration);
    if (isNew) await writeSnapshot('supabase', schema, () => postgres.dumpDataDir('none'));
  }
  if (!options.inMemory) await writeFile(appliedFile, schema);

  let lastError: PostgresError | undefined;
  const query = postgres.query.bind(postgres);
  postgres.query = async (...asked: Parameters<typeof query>) => {
    try {
      return await query(...asked);
    } catch (error) {
      if (isPostgresError(error)) lastError = error;
      throw error;
    }
  };
  const lite: Answer = (request) => {
    lastError = undefined;
    return app.fetch(request);
  };
  const answer = signAsStorageDoes(answerAsPostgrestDoes(lite, () => lastError));

  const inTurn = createTurns();
  return {
    // Each request is a transaction on the one session that PGlite has: two at once would share it.
    answer: (request) => inTurn(() => answer(request)),
    sql: (text, parameters) =>
      inTurn(async () => {
        if (parameters !== undefined) return (await postgres.query<Row>(text, [...parameters])).rows;
        return (await postgres.exec(text)).at(-1)?.rows ?? [];
      }),
    close: () => inTurn(() => connection.close()),
  };
}

/** Runs one after the other, in the order of the calls. */
function createTurns(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const turn = last.then(task, task);
    last = turn.catch(() => undefined);
    return turn;
  };
}
