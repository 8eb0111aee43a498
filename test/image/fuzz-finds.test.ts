import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, test } from '@jest/globals';

import { faultOf } from '../support/corpus/outcome.ts';
import { createDecodeProcess } from '../support/decode-process.ts';

const FOLDER = path.join(import.meta.dirname, '../fixtures/fuzz');

test('what fuzzing once found stays found', async () => {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.bin'));
  expect(names.length).toBeGreaterThan(0);
  await using child = createDecodeProcess({ hangMs: 30_000 });
  for (const name of names) {
    const { fault } = faultOf(await child.decode([readFileSync(path.join(FOLDER, name))]));
    expect([name, fault]).toEqual([name, undefined]);
  }
});
