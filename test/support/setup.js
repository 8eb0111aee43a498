import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** All temporary files of a test run, also those that workers keep for their next job, go into one folder. */
export default async function makeTemporaryFolder() {
  process.env.TMPDIR = await mkdtemp(join(tmpdir(), 'gpu-handlers-tests-'));
}
