import { expect, test } from '@jest/globals';
import { z } from 'zod';

import { createDatabase } from '../../src/supabase/database.ts';
import { awayFor } from '../support/away.ts';

const ROW = { id: 'a' };
const QUERY = { table: 'things', columns: 'id', schema: z.object({ id: z.string() }) };

test('a Supabase that is away for a minute is read then', async () => {
  await using server = await awayFor(60, [ROW]);
  const found = createDatabase({ url: server.url, key: 'key' }).find(QUERY);
  expect(await server.pass(found)).toEqual(ROW);
  expect(server.seconds()).toBeGreaterThanOrEqual(60);
  expect(server.seconds()).toBeLessThan(75);
});

test('a Supabase that stays away is given up after two minutes', async () => {
  await using server = await awayFor(600, [ROW]);
  const found = createDatabase({ url: server.url, key: 'key' }).find(QUERY);
  await expect(server.pass(found)).rejects.toMatchObject({ code: 'supabase_unavailable', retryable: true });
  expect(server.seconds()).toBeGreaterThan(110);
  expect(server.seconds()).toBeLessThan(130);
});
