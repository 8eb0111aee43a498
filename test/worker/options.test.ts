import { expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { connectRunPod } from '../../src/worker/runpod-platform.ts';
import { runWorker } from '../../src/worker/worker.ts';

test.each([-1, NaN, Infinity, 2 ** 31])(
  'a grace of %d ms, which no timer can hold, is refused',
  async (ms) => {
    const address = 'http://127.0.0.1:9/v2/e';
    const settings = { RUNPOD_WEBHOOK_GET_JOB: address, RUNPOD_WEBHOOK_POST_OUTPUT: address };
    const working = runWorker(
      () => 1,
      { shutdownGraceMs: ms },
      {
        platform: connectRunPod(settings, 'w1', SILENT_LOG),
        identity: { workerId: 'w1', hostname: undefined },
        jobTimeoutMs: undefined,
        log: SILENT_LOG,
        stop: AbortSignal.abort(new Error('over')),
      },
    );
    await expect(working).rejects.toThrow('shutdownGraceMs: expected milliseconds from 0 to 2147483647');
  },
);
