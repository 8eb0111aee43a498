import { expect, test } from '@jest/globals';

import { streamOutput } from '../../src/worker/stream.ts';

test('a generator that is stopped is left after the piece that is under way, and ends what it began', async () => {
  const stop = new AbortController();
  const posted: string[] = [];
  let ended = false;
  const pieces = async function* (): AsyncGenerator<number> {
    try {
      for (let i = 0; i < 10; i += 1) yield await Promise.resolve(i);
    } finally {
      ended = true;
    }
  };
  const post = (body: string): Promise<void> => {
    posted.push(body);
    stop.abort(new Error('told to stop'));
    return Promise.resolve();
  };
  const streaming = streamOutput(pieces(), { post, aggregate: true, signal: stop.signal });
  await expect(streaming).rejects.toThrow('told to stop');
  expect({ posted, ended }).toEqual({ posted: ['{"output":0}'], ended: true });
});
