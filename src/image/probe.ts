import sharp from 'sharp';

import { createDecoder } from './decode.ts';
import type { Preprocessing } from './preprocessing.ts';

const SIDE_PX = 16;
const FORMATS = ['png', 'jpeg', 'webp'] as const;

/** Decodes a small picture of each usual format, as a job's would be. @returns sharp's version. */
export async function proveDecoder(preprocessing: Preprocessing): Promise<string> {
  const decode = createDecoder();
  const background = '#c04020';
  const picture = sharp({ create: { width: SIDE_PX, height: SIDE_PX, channels: 3, background } });
  for (const format of FORMATS)
    await decode(await picture.clone().toFormat(format).toBuffer(), preprocessing);
  return sharp.versions.sharp;
}
