import { beforeAll, describe, expect, test } from '@jest/globals';

import { createDecoder, decodeImage } from '../../src/image/decode.ts';
import { sleep } from '../../src/flow/time.ts';
import { SMALL } from '../support/corpus/expected.ts';
import { dice, mutate } from '../support/corpus/mutate.ts';
import { picture, plain } from '../support/corpus/pictures.ts';

const PIXEL_BYTES = 56 * 56 * 3;

let large: Buffer;
let small: Buffer;
beforeAll(async () => {
  large = await plain(5_000, 5_000).webp({ lossless: true, effort: 0 }).toBuffer();
  small = await picture().png().toBuffer();
});

describe('a decoder', () => {
  test('gives a picture up that takes too long, and says so', async () => {
    const decode = createDecoder({ timeoutMs: 1 });
    await expect(decode(large, SMALL)).rejects.toMatchObject({ code: 'decode_timeout', retryable: false });
  });

  test('lets those go that are stopped while they wait, and loses no room by it', async () => {
    const decode = createDecoder({ maxBytesAtOnce: 1 });
    const stop = new AbortController();
    const first = decode(large, SMALL);
    const waiting = decode(small, SMALL, stop.signal);
    const next = decode(small, SMALL);
    const reason = new Error('enough');
    setImmediate(() => stop.abort(reason));
    await expect(waiting).rejects.toBe(reason);
    expect((await first).length).toBe(PIXEL_BYTES);
    expect(await next).toEqual(await decodeImage(small, SMALL));
  });

  test('does not wait for the picture under way when it is stopped', async () => {
    const decode = createDecoder();
    const stop = new AbortController();
    let isDone = false;
    const undisturbed = decode(large, SMALL).finally(() => (isDone = true));
    const stopped = decode(large, SMALL, stop.signal);
    const reason = new Error('enough');
    await sleep(1);
    stop.abort(reason);
    await expect(stopped).rejects.toBe(reason);
    expect(isDone).toBe(false);
    await undisturbed;
  });

  test('a broken picture gives its room back', async () => {
    const decode = createDecoder({ maxBytesAtOnce: 1 });
    for (let i = 0; i < 5; i += 1)
      await expect(decode(small.subarray(0, -30), SMALL)).rejects.toMatchObject({ code: 'truncated' });
    expect((await decode(small, SMALL)).length).toBe(PIXEL_BYTES);
  });
});

test('mutations are the same for the same seed, and differ from the file', () => {
  const made = (seed: number): Buffer[] => {
    const roll = dice(seed);
    return Array.from({ length: 50 }, () => mutate(small, large, roll));
  };
  expect(made(7)).toEqual(made(7));
  expect(made(7)).not.toEqual(made(8));
  expect(made(7).filter((bytes) => bytes.equals(small)).length).toBeLessThan(10);
});
