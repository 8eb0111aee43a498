import type { Preprocessing } from '../../../src/image/preprocessing.ts';

/** What every file of the corpus is decoded to: a model's picture, small, its crop as large as its resize. */
export const SMALL: Preprocessing = {
  resize: { kind: 'exact', width: 56, height: 56 },
  resample: 'bicubic',
  crop: { width: 56, height: 56 },
  rescale: 1 / 255,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  rescaleBeforeResize: false,
  orient: true,
  alpha: 'drop',
};

export type Colour = readonly [number, number, number];

/**
 * Codes, any of which is right, with a bar between them, `pixels` among them for whatever picture; or the colours of
 * the picture's four quarters: left to right, then the lower two.
 */
export type Expected = string | { quarters: readonly [Colour, Colour, Colour, Colour] };

export interface CorpusFile {
  name: string;
  bytes: Uint8Array;
  expected: Expected;
}

export function colours(quarters: readonly [Colour, Colour, Colour, Colour]): Expected {
  return { quarters };
}

export function oneColour(...colour: Colour): Expected {
  return { quarters: [colour, colour, colour, colour] };
}

/** Named entries as files of the corpus, their type before their name. */
export function corpusOf(
  type: string,
  entries: Readonly<Record<string, readonly [bytes: Uint8Array, expected: Expected]>>,
): CorpusFile[] {
  return Object.entries(entries).map(([name, [bytes, expected]]) => ({
    name: `${type}: ${name}`,
    bytes,
    expected,
  }));
}
