import { mkdir } from 'node:fs/promises';

import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';

const SCHEMA = `
  CREATE EXTENSION IF NOT EXISTS vector;
  CREATE TABLE IF NOT EXISTS collections (
    name text PRIMARY KEY,
    number integer GENERATED ALWAYS AS IDENTITY,
    size integer NOT NULL,
    distance text NOT NULL,
    operations bigint NOT NULL DEFAULT 0,
    indexes jsonb NOT NULL DEFAULT '{}'
  );
  CREATE TABLE IF NOT EXISTS aliases (
    alias text PRIMARY KEY,
    collection text NOT NULL REFERENCES collections (name) ON DELETE CASCADE
  );
  CREATE TEMPORARY TABLE staged (id text, version bigint, vector vector, payload jsonb);
`;

/** An embedded Postgres with pgvector and our tables: in `dataDir`, or in memory without one. */
export async function openDatabase(dataDir: string | undefined): Promise<PGlite> {
  if (dataDir !== undefined) await mkdir(dataDir, { recursive: true });
  const database = await PGlite.create({
    extensions: { vector },
    ...(dataDir === undefined ? {} : { dataDir }),
  });
  await database.exec(SCHEMA);
  return database;
}
