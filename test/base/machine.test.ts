import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { freeMemoryBytes } from '../../src/base/machine.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'machine-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});
const put = async (files: Record<string, string>): Promise<void> => {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  }
};
const meminfo = { 'proc/meminfo': 'MemTotal: 9000 kB\nMemAvailable:    8000 kB\n' };

test('no limit: what the machine has', async () => {
  await put({ ...meminfo, 'sys/fs/cgroup/memory.max': 'max\n', 'sys/fs/cgroup/memory.current': '1\n' });
  expect(freeMemoryBytes(root)).toBe(8000 * 1024);
});

test('a control group: what is left of its limit, cached files counted as free', async () => {
  await put({
    ...meminfo,
    'sys/fs/cgroup/memory.max': '5000000\n',
    'sys/fs/cgroup/memory.current': '4000000\n',
    'sys/fs/cgroup/memory.stat': 'anon 1\ninactive_file 300000\n',
  });
  expect(freeMemoryBytes(root)).toBe(1_300_000);
});

test('the older kind of control group', async () => {
  await put({
    ...meminfo,
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '5000000\n',
    'sys/fs/cgroup/memory/memory.usage_in_bytes': '4000000\n',
  });
  expect(freeMemoryBytes(root)).toBe(1_000_000);
});

test('a system that does not say', () => {
  expect(freeMemoryBytes(root)).toBeUndefined();
});
