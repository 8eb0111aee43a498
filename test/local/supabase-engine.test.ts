import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, jest, test } from '@jest/globals';

import { openEngine } from '../../src/local/supabase/engine.ts';

test('requests at once are answered in turn: one that fails takes none with it', async () => {
  // @supabase/lite prints what it refuses; outside of its thread that would go to the console.
  const quiet = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  const folder = await mkdtemp(join(tmpdir(), 'gpu-handlers-test-'));
  const serviceKey = 'sb_secret_engine';
  const engine = await openEngine({ folder, inMemory: true, serviceKey });
  try {
    const add = (name: string | null): Promise<Response> =>
      engine.answer(
        new Request('http://127.0.0.1/rest/v1/datasets', {
          method: 'POST',
          headers: { apikey: serviceKey, 'content-type': 'application/json' },
          body: JSON.stringify({ name }),
        }),
      );
    const responses = await Promise.all([add('a'), add('b'), add(null), add('c'), add('d')]);
    expect(responses.map((response) => response.status)).toEqual([201, 201, 400, 201, 201]);
    expect(await engine.sql('select name from datasets order by name')).toEqual(
      ['a', 'b', 'c', 'd'].map((name) => ({ name })),
    );
  } finally {
    await engine.close();
    await rm(folder, { recursive: true });
    quiet.mockRestore();
  }
});
