import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { describeFailure, FAILURE_CODES } from '../../src/image/codes.ts';

const ROOT = path.join(import.meta.dirname, '../..');

/** Codes of errors that are no image's: they stop a program or a job before its first image. */
const NOT_OF_IMAGES = new Set(['cannot_listen', 'invalid_preprocessing']);

function thrownIn(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder))
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const source = readFileSync(path.join(ROOT, folder, name), 'utf8');
      const literal = [...source.matchAll(/new (?:Http|Image|Handler)Error\(\s*'([^']+)'/g)].map(
        (m) => m[1] ?? '',
      );
      const made = [...source.matchAll(/new (?:Http|Image|Handler)Error\(\s*`([^`]+)`/g)].map((m) =>
        (m[1] ?? '').replace(/\$\{[^}]*\}/g, '404'),
      );
      return [...literal, ...made];
    });
}

describe('failure codes', () => {
  test('the page lists exactly these, with their meaning', () => {
    const page = readFileSync(path.join(ROOT, 'docs/failure-codes.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `([^`]+)`\s*\| (.*?)\s*\| (yes|no|depends)\s*\|$/gm)];
    const again = { yes: true, no: false, depends: 'depends' };
    const listed = rows.map(([, code, meaning, retry]) => [
      code,
      { meaning, retryable: again[retry as keyof typeof again] },
    ]);
    expect(listed).toEqual(Object.entries(FAILURE_CODES));
  });

  test.each(['src/http', 'src/image'])('every code that %s throws is listed', (folder) => {
    const imageCodes = thrownIn(folder).filter((code) => !NOT_OF_IMAGES.has(code));
    expect(imageCodes.length).toBeGreaterThan(5);
    expect(imageCodes.filter((code) => describeFailure(code) === undefined)).toEqual([]);
  });

  test('families', () => {
    expect(describeFailure('http_404')).toBe(FAILURE_CODES['http_<status>']);
    expect(describeFailure('supabase_unavailable')).toBe(FAILURE_CODES['supabase_<fault>']);
    expect(describeFailure('qdrant_rejected')).toBe(FAILURE_CODES['qdrant_<fault>']);
    expect(describeFailure('timeout')).toBe(FAILURE_CODES.timeout);
    for (const unknown of ['http_', 'http_4040', 'supabase', 'toString', '']) {
      expect(describeFailure(unknown)).toBeUndefined();
    }
  });
});
