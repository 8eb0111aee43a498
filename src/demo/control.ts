import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { mapConcurrent } from '../flow/streams.ts';
import { decodeImage } from '../image/decode.ts';
import type { Preprocessing } from '../image/preprocessing.ts';
import type { Shelf } from '../local/shelf/shelf.ts';
import { FRAME_COUNT } from '../local/shelf/catalogue.ts';
import { frameFile } from '../local/shelf/write-shelf.ts';
import { recallOf, type CutoutTruth, type Recall } from './evaluate.ts';
import { meanColour, nearestColour } from './mean-colour.ts';

/** Small is enough for a mean. */
const SIZE = 64;
const FILES_AT_ONCE = 4;
const AS_IS: Preprocessing = {
  resize: { kind: 'exact', width: SIZE, height: SIZE },
  resample: 'bilinear',
  crop: null,
  rescale: 1 / 255,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  rescaleBeforeResize: false,
  orient: true,
  alpha: 'drop',
};

/** The control: the same search, with nothing but the mean colour of each picture in place of a vector. */
export async function meanColourRecall(
  shelf: Shelf,
  folder: string,
  truths: ReadonlyMap<string, CutoutTruth>,
): Promise<Recall> {
  const colours = async (files: readonly string[]): Promise<(readonly [number, number, number])[]> => {
    const read = mapConcurrent(
      files,
      FILES_AT_ONCE,
      async (file) => meanColour(await decodeImage(await readFile(path.join(folder, file)), AS_IS)),
      { ordered: true },
    );
    return Array.fromAsync(read);
  };
  const frames = shelf.products.flatMap(({ id }) =>
    Array.from({ length: FRAME_COUNT }, (_, i) => ({ productId: id, file: frameFile(id, i) })),
  );
  const cutouts = shelf.cutouts.flatMap(({ id, file }) => {
    const truth = truths.get(id);
    return truth === undefined ? [] : [{ ...truth, file }];
  });
  const candidates = await colours(frames.map(({ file }) => file));
  const wanted = await colours(cutouts.map(({ file }) => file));
  return recallOf(
    cutouts.map(({ inFamily, productId }, i) => {
      const colour = wanted[i];
      const nearest = colour === undefined ? undefined : frames[nearestColour(colour, candidates)];
      return { inFamily, right: nearest?.productId === productId };
    }),
  );
}
