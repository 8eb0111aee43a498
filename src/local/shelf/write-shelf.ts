import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { mapConcurrent } from '../../flow/streams.ts';
import { FRAME_COUNT } from './catalogue.ts';
import type { Shelf } from './shelf.ts';
import { createStudio, type Studio } from './studio.ts';

export interface WriteShelfOptions {
  signal?: AbortSignal;
  /** Called after each file. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

/** Says which shelf a folder holds; written last, so that a folder without it is unfinished. */
const MARKER = 'shelf.json';
const FOLDERS = ['frames', 'cutouts', 'real', 'augmented'];
/** Drawing is this thread's; only encoding runs beside it. */
const ENCODING_AT_ONCE = 4;

/**
 * Draws every picture of a shelf into a folder, once: a folder that already holds this seed, drawn by this code, is
 * left as it is. Stops between two files when the signal does, and throws its reason.
 * @returns true where the pictures were drawn now.
 */
export async function writeShelf(
  shelf: Shelf,
  folder: string,
  options: WriteShelfOptions = {},
): Promise<boolean> {
  const marker = path.join(folder, MARKER);
  const wanted = JSON.stringify({ seed: shelf.seed, drawing: await drawingVersion() });
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return false;
  await rm(marker, { force: true });
  for (const name of FOLDERS) await rm(path.join(folder, name), { recursive: true, force: true });
  const files = filesOf(shelf);
  for (const name of new Set(files.map((f) => path.dirname(f.file)))) {
    await mkdir(path.join(folder, name), { recursive: true });
  }
  const studio = createStudio(shelf);
  const { signal, onProgress } = options;
  let done = 0;
  const write = async (entry: ShelfFile) => {
    signal?.throwIfAborted();
    const bytes = await entry.render(studio);
    if (bytes !== null) await writeFile(path.join(folder, entry.file), bytes);
    onProgress?.({ done: ++done, total: files.length });
    return entry.file;
  };
  const written = mapConcurrent(files, ENCODING_AT_ONCE, write, signal === undefined ? {} : { signal });
  while ((await written.next()).done !== true) continue;
  await writeFile(marker, wanted);
  return true;
}

interface ShelfFile {
  file: string;
  render(studio: Studio): Promise<Uint8Array | null>;
}

/** Everything a shelf consists of, by product in the order of the shelf: what was printed is then still at hand. */
function filesOf(shelf: Shelf): ShelfFile[] {
  const files: ShelfFile[] = [];
  for (const place of shelf.planogram) {
    const product = shelf.products[place];
    if (product === undefined) continue;
    for (let index = 0; index < FRAME_COUNT; index++) {
      files.push({
        file: frameFile(product.id, index),
        render: (studio) => studio.renderFrame(product, index),
      });
    }
    for (const cutout of shelf.cutouts) {
      if (cutout.productId !== product.id) continue;
      files.push({ file: cutout.file, render: (studio) => studio.renderCutout(cutout) });
    }
    for (const image of shelf.images) {
      if (image.productId !== product.id) continue;
      files.push({ file: image.file, render: (studio) => studio.renderImage(image) });
    }
  }
  for (const cutout of shelf.cutouts) {
    if (cutout.defect === null) continue;
    files.push({ file: cutout.file, render: (studio) => studio.renderCutout(cutout) });
  }
  return files;
}

export function frameFile(productId: string, index: number): string {
  return `frames/${productId}/frame_${String(index).padStart(4, '0')}.png`;
}

/** Which objects belong into storage buckets, and where their bytes lie. */
export function storageObjects(
  shelf: Shelf,
  folder: string,
): { bucket: 'frames'; path: string; file: string }[] {
  return shelf.images
    .filter((image) => image.inStorage)
    .map((image) => ({ bucket: 'frames', path: image.file, file: path.join(folder, image.file) }));
}

/** Hash of the code that draws: whoever changes a label sees it at the next start. */
export async function drawingVersion(): Promise<string> {
  const here = new URL('.', import.meta.url);
  const hash = createHash('sha256');
  for (const name of (await readdir(here)).filter((n) => /\.[jt]s$/.test(n) && !n.endsWith('.d.ts')).sort()) {
    hash.update(name).update(await readFile(new URL(name, here)));
  }
  return hash.digest('hex').slice(0, 16);
}
