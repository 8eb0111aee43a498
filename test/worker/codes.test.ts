import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** Codes of the kinds of error that this part meets but does not make: they stand in base and http. */
const MADE_ELSEWHERE = ['cannot_listen', 'internal', 'invalid_input', 'network', 'superseded', 'timeout'];

test('docs/worker.md lists the codes that the worker makes, and no other', () => {
  const table = read('docs/worker.md').split("## What an error's code means")[1]?.split('\n## ')[0] ?? '';
  const listed = [...table.matchAll(/^\| `([a-z_<>]+)`/gm)].map(([, code]) => code ?? '');
  const made = globSync('src/worker/**/*.ts', { cwd: ROOT }).flatMap((file) => {
    const source = read(file);
    const codes = [...source.matchAll(/new (?:Handler|Http|Stopped)Error\(\s*['`]([^'`]+)['`]/g)];
    const settings = source.includes('new SettingsError(') ? ['invalid_settings'] : [];
    return [...codes.map(([, code]) => (code ?? '').replace(/\$\{.*\}/, '<status>')), ...settings];
  });
  expect(listed.toSorted()).toEqual([...new Set([...made, ...MADE_ELSEWHERE])].toSorted());
});
