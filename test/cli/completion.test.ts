import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { beforeAll, expect, test } from '@jest/globals';

import { COMMANDS } from '../../src/cli/commands.ts';
import { completionScript, SHELLS, type Shell } from '../../src/cli/completion.ts';

const run = promisify(execFile);
const scripts = new Map<Shell, string>();

beforeAll(async () => {
  for (const shell of SHELLS) scripts.set(shell, await completionScript(shell, COMMANDS));
});

const TYPED = [
  'ext',
  'extract m',
  'extract matching --source=x --collection-m',
  'extract matching --source ',
  'extract matching --request ',
  '--json status --ki',
  'completion z',
  'help ser',
];

test('bash completes commands, options and their values', async () => {
  const ask = TYPED.map((line) => {
    const words = ['gpu-handlers', ...line.split(' ')];
    return `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _gpu_handlers; echo "\${COMPREPLY[*]}"`;
  });
  const script = `set -u\n${scripts.get('bash') ?? ''}\n${ask.join('\n')}`;
  const { stdout, stderr } = await run('bash', ['-c', script]);
  expect(stderr).toBe('');
  expect(stdout.trimEnd().split('\n')).toEqual([
    'extract',
    'matching',
    '--collection-mode',
    'both products cutouts',
    // Files are the shell's own to complete.
    '',
    '--kind',
    'zsh',
    'serve',
  ]);
});

test.each(SHELLS)('the script for %s knows every command and option', async (shell) => {
  const script = scripts.get(shell) ?? '';
  for (const command of COMMANDS) {
    const options = [...Object.keys(command.options), ...(await command.fields()).map(({ name }) => name)];
    for (const word of [command.name, ...options]) expect(script).toContain(word);
  }
});

test.each(['zsh', 'fish'] as const)('%s takes its script, where it is installed', async (shell) => {
  const check = run(shell, ['-n', '-c', scripts.get(shell) ?? '']);
  const error: unknown = await check.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if ((error as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT') expect(error).toBeUndefined();
});
