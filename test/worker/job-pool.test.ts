import { expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { createConcurrency } from '../../src/worker/concurrency.ts';
import { createJobPool } from '../../src/worker/job-pool.ts';

test('a limit that was lowered and grows again, with nothing that begins or ends: what waits starts', async () => {
  let limit = 1;
  const started: string[] = [];
  const end = Promise.withResolvers<undefined>();
  const { promise: all, resolve } = Promise.withResolvers<undefined>();
  const pool = createJobPool({
    limit: createConcurrency(() => limit),
    platform: { held: () => undefined, released: () => undefined },
    log: SILENT_LOG,
    run: async ({ id }) => {
      started.push(id);
      if (started.length === 3) resolve(undefined);
      await end.promise;
    },
  });
  pool.add(['a', 'b', 'c'].map((id) => ({ id })));
  expect(started).toEqual(['a']);
  limit = 3;
  await all;
  expect(started).toEqual(['a', 'b', 'c']);
  end.resolve(undefined);
  await pool.idle();
});
