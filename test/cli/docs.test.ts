import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { cliDocs } from '../../scripts/write-cli-docs.ts';
import { EXIT } from '../../src/cli/exit-codes.ts';

const FILE = join(import.meta.dirname, '..', '..', 'docs', 'cli.md');

test('docs/cli.md has the commands and options that there are: node scripts/write-cli-docs.ts', async () => {
  expect(await readFile(FILE, 'utf8')).toBe(await cliDocs());
});

test('and every exit code', async () => {
  const page = await readFile(FILE, 'utf8');
  for (const code of Object.values(EXIT)) expect(page).toMatch(new RegExp(`^\\| ${code} +\\|`, 'm'));
});
