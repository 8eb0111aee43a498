import { expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
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

test('a job that arrives after the stop is told so from its start, with the time that is left', async () => {
  const reasons: unknown[] = [];
  const pool = createJobPool({
    limit: createConcurrency(1),
    platform: { held: () => undefined, released: () => undefined },
    log: SILENT_LOG,
    run: (_, control) => {
      reasons.push(control.signal.reason);
      control.dispose();
      return Promise.resolve();
    },
  });
  pool.stop({ reason: new StoppedError('shutdown', 'stopped'), handlerMs: 60_000 });
  await new Promise((resolve) => setTimeout(resolve, 5));
  pool.add([{ id: 'late' }]);
  await pool.idle();
  expect(reasons).toEqual([expect.objectContaining({ code: 'shutdown', graceMs: expect.any(Number) })]);
  const [{ graceMs }] = reasons as [StoppedError];
  expect(graceMs).toBeLessThan(60_000);
});
