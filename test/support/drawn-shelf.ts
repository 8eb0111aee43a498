import { cp, mkdir, rename, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { HandlerError } from '../../src/base/errors.ts';
import { sleep } from '../../src/flow/time.ts';
import { lockFolder } from '../../src/local/folder-lock.ts';
import { createShelf } from '../../src/local/shelf/shelf.ts';
import { drawingVersion, writeShelf } from '../../src/local/shelf/write-shelf.ts';

const SEED = 7;
const CACHE = join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'gpu-handlers');
const LOOK_MS = 200;

/**
 * Puts the sample shelf's pictures where a local cloud with this folder looks for them. Drawing takes some twenty
 * seconds of CPU: it is done once for all tests, and kept beside the packages until the code that draws changes.
 */
export async function putDrawnShelf(folder: string): Promise<void> {
  const drawn = join(CACHE, `shelf-${SEED}-${await drawingVersion()}`);
  while (!(await exists(drawn))) await drawOrWait(drawn);
  const target = join(folder, 'shelf', String(SEED));
  await mkdir(target, { recursive: true });
  await cp(drawn, target, { recursive: true });
}

/** Of several processes one draws. */
async function drawOrWait(drawn: string): Promise<void> {
  const draft = `${drawn}-draft`;
  try {
    await using _ = await lockFolder(draft);
    if (await exists(drawn)) return;
    const pictures = join(draft, 'pictures');
    await writeShelf(createShelf({ seed: SEED }), pictures);
    await rename(pictures, drawn);
  } catch (error) {
    if (!(error instanceof HandlerError) || error.code !== 'folder_in_use') throw error;
    await sleep(LOOK_MS);
    return;
  }
  await rmdir(draft).catch(() => undefined);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
