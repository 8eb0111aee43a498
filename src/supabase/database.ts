import type { z } from 'zod';

import { StoreError } from '../base/errors.ts';

export type Filter =
  | { column: string; op: 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte'; value: string | number | boolean }
  | { column: string; op: 'in'; value: readonly (string | number)[] }
  | { column: string; op: 'is_null' | 'not_null' };

export interface ReadQuery<T> {
  table: string;
  columns: string;
  schema: z.ZodType<T>;
  filters?: readonly Filter[];
  signal?: AbortSignal;
}

export interface PagesQuery<T> extends ReadQuery<T> {
  key?: string;
  pageSize?: number;
}

export interface UpdateQuery {
  table: string;
  values: Record<string, unknown>;
  filters: readonly Filter[];
  signal?: AbortSignal;
}

export interface InsertQuery {
  table: string;
  rows: readonly Record<string, unknown>[];
  signal?: AbortSignal;
}

export interface UpsertQuery extends InsertQuery {
  onConflict: string;
}

export interface CallQuery<T> {
  name: string;
  args: Record<string, unknown>;
  schema: z.ZodType<T>;
  signal?: AbortSignal;
}

export interface SignUrlsQuery {
  bucket: string;
  paths: readonly string[];
  expiresInSeconds: number;
  signal?: AbortSignal;
}

export interface UploadQuery {
  bucket: string;
  path: string;
  body: Uint8Array;
  contentType: string;
  signal?: AbortSignal;
}

export interface BucketQuery {
  bucket: string;
  public?: boolean;
  allowedMimeTypes?: readonly string[];
  signal?: AbortSignal;
}

export interface Database {
  pages<T>(query: PagesQuery<T>): AsyncGenerator<T[]>;
  find<T>(query: ReadQuery<T>): Promise<T | undefined>;
  update(query: UpdateQuery): Promise<number>;
  upsert(query: UpsertQuery): Promise<void>;
  insert(query: InsertQuery): Promise<void>;
  call<T>(query: CallQuery<T>): Promise<T>;
  signUrls(query: SignUrlsQuery): Promise<(string | StoreError)[]>;
  upload(query: UploadQuery): Promise<void>;
  ensureBucket(query: BucketQuery): Promise<'created' | 'existed'>;
}

export interface DatabaseOptions {
  url: string;
  key: string;
  timeoutMs?: number;
  fetch?: typeof fetch;
}

export function createDatabase(options: DatabaseOptions): Database {
  throw new StoreError('supabase', 'supabase_unreachable', `not built yet: ${options.url}`);
}
