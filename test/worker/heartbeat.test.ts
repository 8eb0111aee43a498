import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { startHeartbeat } from '../../src/worker/heartbeat.ts';

/** Fails at the first job that it is told of; the one after it notes which jobs it was started with. */
const THREAD = `
import { appendFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
appendFileSync(new URL('starts', import.meta.url), JSON.stringify(workerData.held) + '\\n');
parentPort.on('message', () => { throw new Error('an assertion of a library'); });
parentPort.postMessage({ type: 'ready' });
`;

test('a heartbeat whose thread fails is started again, with the jobs that are held', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'heartbeat-'));
  try {
    const path = join(folder, 'thread.mjs');
    await writeFile(path, THREAD);
    const options = { ping: 'http://127.0.0.1:9/ping', headers: {}, intervalMs: 20 };
    const heartbeat = await startHeartbeat(options, SILENT_LOG, pathToFileURL(path));
    heartbeat.held('a');
    let starts = '';
    while (starts.split('\n').length < 3) {
      await setTimeout(10);
      starts = await readFile(join(folder, 'starts'), 'utf8');
    }
    expect(starts).toBe('[]\n["a"]\n');
    await heartbeat.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});
