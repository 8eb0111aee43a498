import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { startLocalCloud } from '../../src/local/cloud.ts';
import { lockFolder } from '../../src/local/folder-lock.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gpu-handlers-cloud-'));
});

afterAll(() => rm(folder, { recursive: true }));

test('a cloud that cannot start leaves nothing open: its process ends by itself', async () => {
  const file = join(folder, 'a-file');
  await writeFile(file, '');
  const module = JSON.stringify(new URL('../../src/local/cloud.ts', import.meta.url).href);
  const script = `
    import { startLocalCloud } from ${module};
    await startLocalCloud({ folder: ${JSON.stringify(file)} }).then(
      () => console.log('it started'),
      (error) => console.log(error.code),
    );
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(said.trim()).toBe('ENOTDIR');
  } finally {
    child.kill('SIGKILL');
  }
});

test('a folder that another process persists to is refused, until that one has died', async () => {
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const place = join(folder, 'shared');
  const begun = { pid: other.pid, begun: 0 };
  try {
    await (await lockFolder(place))[Symbol.asyncDispose]();
    expect(await readdir(place)).toEqual([]);
    await writeFile(join(place, 'in-use.json'), JSON.stringify(begun));
    await expect(startLocalCloud({ folder: place, persist: true })).rejects.toMatchObject({
      code: 'folder_in_use',
      message: expect.stringContaining(String(other.pid)),
    });
    // Nothing was begun there.
    expect(await readdir(place)).toEqual(['in-use.json']);
  } finally {
    other.kill('SIGKILL');
    await once(other, 'exit');
  }
  await using _ = await lockFolder(place);
  // And by this process a second time.
  await expect(lockFolder(place)).rejects.toMatchObject({ code: 'folder_in_use' });
});

test.each(['', '{"pid"', JSON.stringify({ pid: process.pid, begun: 1 })])(
  'a lock that says %p is nobody’s',
  async (text) => {
    const place = join(folder, 'left');
    await (await lockFolder(place))[Symbol.asyncDispose]();
    await writeFile(join(place, 'in-use.json'), text);
    await using _ = await lockFolder(place);
    await expect(lockFolder(place)).rejects.toMatchObject({ code: 'folder_in_use' });
  },
);
