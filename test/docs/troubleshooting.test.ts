import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { ROOT } from '../support/docs/pages.ts';

const PAGE = readFileSync(join(ROOT, 'docs/troubleshooting.md'), 'utf8');

/** All that this package can say: its sources, and the fields of its outputs and rows. */
const SOURCES = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(ROOT, 'src', name), 'utf8'))
  .join('\n');
/** Made of a prefix and what the other side said. */
const MADE = /^(?:supabase|qdrant)_/;
const STATUS = /^http_\d{3}$/;

test('what the page has as a symptom is what is said', () => {
  const rows = PAGE.split('\n').filter((line) => /^\| (?!-|symptom)/.test(line));
  const said = rows.flatMap((row) =>
    [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
  );
  expect(said.length).toBeGreaterThan(40);
  const known = (text: string): boolean =>
    SOURCES.includes(text) ||
    STATUS.test(text) ||
    (MADE.test(text) && SOURCES.includes(text.replace(MADE, "'")));
  expect(said.filter((text) => !known(text))).toEqual([]);
});
