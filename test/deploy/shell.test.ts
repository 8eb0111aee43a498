import { execFile, spawnSync } from 'node:child_process';
import { cp, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, test } from '@jest/globals';

import { ROOT, startBench } from './support.ts';

const run = promisify(execFile);
const SCRIPTS = ['deploy.sh', 'docker/assert-image.sh', 'docker/health.sh', '.ci/run'];
const hasShellcheck = spawnSync('shellcheck', ['--version']).status === 0;

test.each(SCRIPTS)('%s parses', async (script) => {
  const shell = (await readFile(join(ROOT, script), 'utf8')).startsWith('#!/bin/sh') ? 'sh' : 'bash';
  await run(shell, ['-n', join(ROOT, script)]);
});

(hasShellcheck ? test : test.skip)(
  'shellcheck finds nothing (skipped where it is not installed)',
  async () => {
    await run('shellcheck', SCRIPTS, { cwd: ROOT });
  },
);

test('deploy.sh, started from another folder, deploys', async () => {
  await using bench = await startBench();
  await cp(join(ROOT, 'deploy.sh'), join(bench.folder, 'deploy.sh'));
  await bench.commit();
  for (const name of ['node_modules', 'src', 'scripts'])
    await symlink(join(ROOT, name), join(bench.folder, name));
  const { stdout } = await run(join(bench.folder, 'deploy.sh'), ['embedding'], { cwd: '/', env: bench.env });
  expect(stdout).toContain('serves at endpoint ep1');
  expect(bench.server.endpoints).toHaveLength(1);
});

test('deploy.sh says which settings are missing, and ends with 2', async () => {
  await using bench = await startBench();
  await bench.writeEnv({});
  await cp(join(ROOT, 'deploy.sh'), join(bench.folder, 'deploy.sh'));
  const deploying = run(join(bench.folder, 'deploy.sh'), ['all'], { env: bench.env });
  await expect(deploying).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('npm ci') });
  for (const name of ['node_modules', 'src', 'scripts'])
    await symlink(join(ROOT, name), join(bench.folder, name));
  const again = run(join(bench.folder, 'deploy.sh'), ['all'], { env: bench.env });
  await expect(again).rejects.toMatchObject({ code: 2, stdout: expect.stringContaining('IMAGE_REPOSITORY') });
});
