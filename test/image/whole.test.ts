import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import sharp from 'sharp';

import { createDecoder, createWholeDecoder } from '../../src/image/decode.ts';
import { cropWindow, middleWindow } from '../../src/image/geometry.ts';
import { cutOut } from '../../src/image/resample.ts';
import { fixture, preprocessing } from './support.ts';

const MAX_ASPECT = 1.5;
const crop = { width: 48, height: 40 };
const p = preprocessing({ resize: { kind: 'shortest_edge', size: 56 }, crop });

const decode = createDecoder();
const decodeWhole = createWholeDecoder();

test.each(['landscape.jpg', 'portrait.jpg', 'large.jpg', 'exif-6.jpg', 'alpha.webp', 'grey.jpg'])(
  "the model's crop of the whole of %s is what it gets of the file",
  async (name) => {
    const bytes = await fixture(name);
    const whole = await decodeWhole(bytes, { preprocessing: p, maxAspect: MAX_ASPECT });
    expect(whole.data).toHaveLength(whole.width * whole.height * 3);
    expect(Buffer.from(cutOut(whole, cropWindow(whole, crop)))).toEqual(Buffer.from(await decode(bytes, p)));
  },
);

test('of a long picture the middle is kept, and the crop stays what it was', async () => {
  for (const [width, height] of [
    [601, 101],
    [100, 433],
  ] as const) {
    const bytes = await sharp({
      create: {
        width,
        height,
        channels: 3,
        background: '#808080',
        noise: { type: 'gaussian', mean: 128, sigma: 60 },
      },
    })
      .png()
      .toBuffer();
    const whole = await decodeWhole(bytes, { preprocessing: p, maxAspect: MAX_ASPECT });
    expect(Math.max(whole.width, whole.height)).toBeLessThanOrEqual(84);
    expect(Math.max(whole.width, whole.height)).toBeGreaterThanOrEqual(83);
    expect(Buffer.from(cutOut(whole, cropWindow(whole, crop)))).toEqual(Buffer.from(await decode(bytes, p)));
  }
});

test('the middle never moves a centre crop, whatever the sizes', () => {
  const edge = fc.integer({ min: 48, max: 2_000 });
  fc.assert(
    fc.property(edge, edge, (width, height) => {
      const kept = middleWindow({ width, height }, MAX_ASPECT);
      const inside = cropWindow(kept, { width: 48, height: 48 });
      const outright = cropWindow({ width, height }, { width: 48, height: 48 });
      expect([kept.left + inside.left, kept.top + inside.top]).toEqual([outright.left, outright.top]);
    }),
  );
});
