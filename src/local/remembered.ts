import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';

import { z } from 'zod';

const PORT = z.int().min(1).max(65_535);
const REMEMBERED = z.object({ supabase: PORT, qdrant: PORT, images: PORT, serviceKey: z.string().min(1) });
type Remembered = z.infer<typeof REMEMBERED>;

const FILE = 'addresses.json';

/**
 * What a cloud on this folder used the last time, so that addresses in stored points and in a shell stay right. A port
 * that somebody else has taken meanwhile, or was never given, is 0: any free one.
 */
export async function recall(folder: string): Promise<Remembered> {
  const parsed = REMEMBERED.safeParse(await readJson(path.join(folder, FILE)));
  if (!parsed.success) {
    return { supabase: 0, qdrant: 0, images: 0, serviceKey: `sb_secret_${randomBytes(16).toString('hex')}` };
  }
  const { supabase, qdrant, images, serviceKey } = parsed.data;
  return {
    supabase: await orAny(supabase),
    qdrant: await orAny(qdrant),
    images: await orAny(images),
    serviceKey,
  };
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined; // not there yet, or cut off while it was written
  }
}

/** The key is one of this machine only; the file is the owner's to read. */
export async function remember(
  folder: string,
  urls: { supabase: string; qdrant: string; images: string },
  serviceKey: string,
): Promise<void> {
  const port = (url: string): number => Number(new URL(url).port);
  const remembered: Remembered = {
    supabase: port(urls.supabase),
    qdrant: port(urls.qdrant),
    images: port(urls.images),
    serviceKey,
  };
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, FILE), `${JSON.stringify(remembered)}\n`, { mode: 0o600 });
}

async function orAny(port: number): Promise<number> {
  const server = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      resolve(true);
    });
  });
  if (isFree) await new Promise((resolve) => server.close(resolve));
  return isFree ? port : 0;
}
