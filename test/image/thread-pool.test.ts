import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, test } from '@jest/globals';

const DECODE = new URL('../../src/image/decode.ts', import.meta.url).href;
/** Threads of the pool, as Linux names them, while more work waits than Node's usual four would take. */
const SCRIPT = `
  await import(${JSON.stringify(DECODE)});
  const { pbkdf2 } = await import('node:crypto');
  const { readdirSync, readFileSync } = await import('node:fs');
  const work = Array.from({ length: 40 }, () => new Promise((done) => pbkdf2('a', 'b', 20_000, 64, 'sha512', done)));
  const names = readdirSync('/proc/self/task').map((task) => readFileSync('/proc/self/task/' + task + '/comm', 'utf8'));
  console.log(names.filter((name) => name.startsWith('libuv-worker')).length);
  await Promise.all(work);
`;

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux.each([
  ['a thread for each core and two more, four at least', undefined],
  ['as many as are set', '9'],
])('pictures are decoded in %s', async (_, set) => {
  const { UV_THREADPOOL_SIZE: __, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    env: { ...env, ...(set !== undefined && { UV_THREADPOOL_SIZE: set }) },
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  const { availableParallelism } = await import('node:os');
  expect(Number(stdout)).toBe(Number(set ?? Math.max(4, availableParallelism() + 2)));
});
