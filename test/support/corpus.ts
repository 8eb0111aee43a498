import { avifFiles } from './corpus/avif-files.ts';
import type { CorpusFile } from './corpus/expected.ts';
import { gifFiles } from './corpus/gif-files.ts';
import { jpegFiles } from './corpus/jpeg-files.ts';
import { otherFiles } from './corpus/other-files.ts';
import { pngFiles } from './corpus/png-files.ts';
import { tiffFiles } from './corpus/tiff-files.ts';
import { webpFiles } from './corpus/webp-files.ts';

/** Files as nobody wishes them, each with what must become of it. Made anew each time, the same each time. */
export async function corpus(): Promise<CorpusFile[]> {
  const made = await Promise.all([
    jpegFiles(),
    pngFiles(),
    gifFiles(),
    webpFiles(),
    tiffFiles(),
    avifFiles(),
    otherFiles(),
  ]);
  return made.flat();
}
