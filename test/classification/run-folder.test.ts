import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { openRunFolder, type RunFolder } from '../../src/classification/run-folder.ts';
import { PASSING_FOLDER } from '../../src/training/backbone.ts';
import { temporaryFolder } from '../support/folder.ts';
import { NEVER } from './support.ts';

const open = (
  root: string,
  runId: string,
  fate: 'goes_on' | 'over' | 'keep' = 'goes_on',
): Promise<RunFolder> =>
  openRunFolder({
    runId,
    root,
    fate: () => fate,
    onLost: () => undefined,
    log: SILENT_LOG,
    signal: NEVER,
  });
const DAYS_AGO = new Date(Date.now() - 3 * 24 * 3_600_000);

test('a run that has ended leaves nothing; one that was stopped, its folder', async () => {
  await using root = await temporaryFolder();
  {
    await using folder = await open(root.path, 'run');
    await writeFile(join(folder.path, 'x'), '1');
  }
  expect(await readdir(root.path)).toEqual(['run']);
  {
    await using folder = await open(root.path, 'run', 'over');
    expect(await readdir(folder.path)).toEqual(['x']);
  }
  expect(await readdir(root.path)).toEqual([]);
});

test('a folder that is to be kept stays when others are cleared away; one that nobody came back for does not', async () => {
  await using root = await temporaryFolder();
  await (await open(root.path, 'kept', 'keep'))[Symbol.asyncDispose]();
  for (const name of ['left', 'young', 'kept']) await mkdir(join(root.path, name), { recursive: true });
  for (const name of ['left', 'kept']) await utimes(join(root.path, name), DAYS_AGO, DAYS_AGO);
  await using _ = await open(root.path, 'run');
  expect((await readdir(root.path)).sort()).toEqual(['kept', 'run', 'run.lock', 'young']);
});

test('what a killed process has left is there for the next one at once, but for what its trainers needed', async () => {
  await using root = await temporaryFolder();
  const module = pathToFileURL(join(import.meta.dirname, '../../src/classification/run-folder.ts')).href;
  const script = `
    import { mkdtempSync, writeFileSync } from 'node:fs';
    import { openRunFolder } from ${JSON.stringify(module)};
    const log = { info() {}, debug() {}, warn() {}, error() {} };
    const folder = await openRunFolder({ runId: 'run', root: ${JSON.stringify(root.path)}, fate: () => 'goes_on', onLost() {}, log, signal: new AbortController().signal });
    writeFileSync(folder.path + '/half', 'done');
    writeFileSync(mkdtempSync(folder.path + '/${PASSING_FOLDER}') + '/model.onnx', 'a copy');
    process.stdout.write('there');
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  expect(await stat(join(root.path, 'run.lock'))).toBeDefined();
  await using folder = await open(root.path, 'run');
  expect(await readdir(folder.path)).toEqual(['half']);
});

test('two processes of one run wait for each other', async () => {
  await using root = await temporaryFolder();
  const first = await open(root.path, 'run');
  let second: RunFolder | undefined;
  const opening = open(root.path, 'run').then((folder) => (second = folder));
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(second).toBeUndefined();
  await first[Symbol.asyncDispose]();
  await opening;
  await second?.[Symbol.asyncDispose]();
});
