import { expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { createProgress } from '../../src/worker/progress.ts';

const bodyOf = (output: number): string => `{"status":"IN_PROGRESS","output":${output}}`;

test.each([
  [undefined, [1, 1]],
  [2, [1, 2]],
])('a post that fails is made once more, with the latest value: %s', async (newer, values) => {
  const posted: string[] = [];
  const post = (body: string): Promise<void> => {
    posted.push(body);
    return Promise.reject(new Error('not now'));
  };
  const progress = createProgress({ post, log: SILENT_LOG });
  progress.report(1);
  if (newer !== undefined) progress.report(newer);
  await progress.finish(10_000);
  expect(posted).toEqual(values.map(bodyOf));
});

test('values that come while one is posted: the latest goes next, and none after the end', async () => {
  const posted: string[] = [];
  const first = Promise.withResolvers<undefined>();
  const post = async (body: string): Promise<void> => {
    posted.push(body);
    if (posted.length === 1) await first.promise;
  };
  const progress = createProgress({ post, log: SILENT_LOG });
  for (const value of [1, 2, 3]) progress.report(value);
  const finished = progress.finish(10_000);
  progress.report(4);
  first.resolve(undefined);
  await finished;
  progress.report(5);
  await new Promise(setImmediate);
  expect(posted).toEqual([bodyOf(1), bodyOf(3)]);
});

test('a post that hangs is given up in time', async () => {
  const post = (_: string, signal: AbortSignal): Promise<void> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('late'))));
  const progress = createProgress({ post, log: SILENT_LOG });
  progress.report(1);
  await progress.finish(20);
});
