import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import type { ThreadAnswer, ThreadCall, ThreadOptions } from './thread.ts';

export interface LocalSupabaseOptions {
  /** Where rows and objects are kept; absent: in memory, gone when closed. One process at a time. */
  dataDir?: string | undefined;
  /** Default: any free one. */
  port?: number | undefined;
  /** Begins with `sb_secret_`; default: a new one each time. */
  serviceKey?: string | undefined;
}

export interface LocalSupabase {
  /** As SUPABASE_URL. */
  url: string;
  /** As SUPABASE_SERVICE_ROLE_KEY. */
  serviceKey: string;
  /** Runs SQL as the database's owner, past the API, for seeding and asserting. Without parameters: several statements. */
  sql(text: string, parameters?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A Supabase of one's own on 127.0.0.1: Postgres, its REST interface and Storage, with this package's migrations
 * applied. supabase-js runs against it unchanged; requests without the key are refused, as the real one refuses them.
 * It lives in a thread of its own, so that its work does not hold up the caller's.
 */
export async function startLocalSupabase(options: LocalSupabaseOptions = {}): Promise<LocalSupabase> {
  const { dataDir, port = 0, serviceKey = `sb_secret_${randomBytes(16).toString('hex')}` } = options;
  const inMemory = dataDir === undefined;
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), 'gpu-handlers-supabase-')));
  const forget = async (): Promise<void> => {
    if (inMemory) await rm(folder, { recursive: true, force: true });
  };
  const thread = await startThread({ folder, inMemory, port, serviceKey }).catch(async (error: unknown) => {
    await forget();
    throw error;
  });

  const shutDown = async (): Promise<void> => {
    await thread.close();
    await forget();
  };
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= shutDown());
  return { url: thread.url, serviceKey, sql: thread.sql, close, [Symbol.asyncDispose]: close };
}

async function startThread(options: ThreadOptions) {
  const entry = fileURLToPath(new URL(`./thread${extname(import.meta.url)}`, import.meta.url));
  // @supabase/lite writes every refused request to the console. Whoever sent it has the answer: here it is noise.
  const worker = new Worker(entry, { workerData: options, stdout: true, stderr: true });
  worker.stdout.resume();
  worker.stderr.resume();
  const [url] = (await once(worker, 'message')) as [string];

  interface Waiting {
    resolve: (rows: Record<string, unknown>[]) => void;
    reject: (error: Error) => void;
  }
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  worker.on('message', (answer: ThreadAnswer) => {
    const caller = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('rows' in answer) caller?.resolve(answer.rows);
    else caller?.reject(Object.assign(new Error(answer.error.message), { code: answer.error.code }));
  });
  const exited = once(worker, 'exit').then(() => {
    for (const { reject } of waiting.values()) reject(new Error('the local Supabase is closed'));
  });

  const ask = (call: (id: number) => ThreadCall): Promise<Record<string, unknown>[]> =>
    new Promise((resolve, reject) => {
      if (worker.threadId === -1) reject(new Error('the local Supabase is closed'));
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      worker.postMessage(call(lastId));
    });
  return {
    url,
    sql: (text: string, parameters?: readonly unknown[]) =>
      ask((id) => ({ id, task: 'sql', text, parameters })),
    async close(): Promise<void> {
      await ask((id) => ({ id, task: 'close' }));
      await exited;
    },
  };
}
