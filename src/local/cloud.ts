import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { createDatabase } from '../supabase/database.ts';
import { lockFolder } from './folder-lock.ts';
import { startImageServer } from './images.ts';
import { recall, remember } from './remembered.ts';
import { startLocalQdrant } from './qdrant/qdrant.ts';
import { seedRows, type SeedRow, type SeedRows } from './shelf/rows.ts';
import { createShelf, type Shelf } from './shelf/shelf.ts';
import { storageObjects, writeShelf } from './shelf/write-shelf.ts';
import { startLocalSupabase, type LocalSupabase } from './supabase/supabase.ts';

export interface LocalCloudOptions {
  /** Where the shelf's pictures are kept, and everything else where `persist` is set. */
  folder: string;
  /** Keeps rows, objects and points in the folder; otherwise they are gone when it closes. */
  persist?: boolean;
  seed?: number;
  signal?: AbortSignal;
  /** Told of each picture that is drawn; nothing where they are there already. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

/** A whole cloud on 127.0.0.1, with a sample shelf in it. */
export interface LocalCloud extends AsyncDisposable {
  supabaseUrl: string;
  supabaseServiceKey: string;
  qdrantUrl: string;
  qdrantApiKey: string;
  imagesUrl: string;
  /** What lies on the shelf, the truth about each cutout included. */
  shelf: Shelf;
  /** Where the shelf's pictures are as files. */
  shelfFolder: string;
  close(): Promise<void>;
}

const SHELF_SEED = 7;
const QDRANT_API_KEY = 'local-qdrant-key';

/**
 * Starts Supabase, a Qdrant-compatible server and an image server, and fills them with the sample shelf of a seed. On
 * a folder that was used before, rows keep what jobs wrote, and addresses and key are those of the last time (where a
 * port is taken, another one, and rows follow the image server). Whatever fails, nothing stays open.
 * @throws HandlerError `folder_in_use` where another process persists to this folder
 */
export async function startLocalCloud(options: LocalCloudOptions): Promise<LocalCloud> {
  const { folder, persist = false, seed = SHELF_SEED } = options;
  const shelf = createShelf({ seed });
  const shelfFolder = path.join(folder, 'shelf', String(seed));
  const started = new AsyncDisposableStack();
  const start = async <T extends AsyncDisposable>(starting: Promise<T>): Promise<T> =>
    started.use(await starting);
  try {
    if (persist) await start(lockFolder(folder));
    const last = persist ? await recall(folder) : undefined;
    const dataDir = (name: string): { dataDir?: string } =>
      persist ? { dataDir: path.join(folder, name) } : {};
    // Drawing keeps this thread busy; the servers start in threads of their own meanwhile.
    const [supabase, qdrant] = await together(options.signal, (signal) => [
      start(
        startLocalSupabase({ ...dataDir('supabase'), port: last?.supabase, serviceKey: last?.serviceKey }),
      ),
      start(startLocalQdrant({ ...dataDir('qdrant'), port: last?.qdrant ?? 0, apiKey: QDRANT_API_KEY })),
      writeShelf(shelf, shelfFolder, { ...options, signal }),
    ]);
    const images = await start(startImageServer({ folder: shelfFolder, port: last?.images ?? 0 }));
    await insertRows(supabase, seedRows(shelf, images.url));
    await storePictures(supabase, shelf, shelfFolder);
    if (persist) {
      const urls = { supabase: supabase.url, qdrant: qdrant.url, images: images.url };
      await remember(folder, urls, supabase.serviceKey);
    }
    const close = (): Promise<void> => started.disposeAsync();
    return {
      supabaseUrl: supabase.url,
      supabaseServiceKey: supabase.serviceKey,
      qdrantUrl: qdrant.url,
      qdrantApiKey: QDRANT_API_KEY,
      imagesUrl: images.url,
      shelf,
      shelfFolder,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}

/**
 * All of them, or the first error, but not before each has come to its end: what comes up after another has failed is
 * there to be closed. Their signal aborts with the first error, and with the caller's.
 */
async function together<T extends readonly Promise<unknown>[]>(
  signal: AbortSignal | undefined,
  begin: (signal: AbortSignal) => readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const failed = new AbortController();
  const parts = begin(signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]));
  try {
    return await Promise.all(parts);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(parts);
    throw error;
  }
}

/** Columns that hold an address of the image server, whose port may be another one at each start. */
const ADDRESSES: Partial<Record<keyof SeedRows, string>> = {
  products: 'frames_path',
  product_images: 'image_url',
  cutout_images: 'image_url',
};

async function insertRows(supabase: LocalSupabase, rows: SeedRows): Promise<void> {
  for (const [table, list] of Object.entries(rows) as [keyof SeedRows, SeedRow[]][]) {
    const columns = Object.keys(list[0] ?? {}).join(', ');
    const address = ADDRESSES[table];
    const known = address === undefined ? 'nothing' : `update set ${address} = excluded.${address}`;
    await supabase.sql(
      `insert into ${table} (${columns}) select ${columns} from jsonb_populate_recordset(null::${table}, $1::jsonb)
       on conflict ${address === undefined ? '' : '(id)'} do ${known}`,
      [JSON.stringify(list)],
    );
  }
}

async function storePictures(supabase: LocalSupabase, shelf: Shelf, folder: string): Promise<void> {
  const database = createDatabase({ url: supabase.url, key: supabase.serviceKey });
  await database.ensureBucket({ bucket: 'frames' });
  await Promise.all(
    storageObjects(shelf, folder).map(async ({ bucket, path: name, file }) => {
      await database.upload({ bucket, path: name, body: await readFile(file), contentType: 'image/jpeg' });
    }),
  );
}
