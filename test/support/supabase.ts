import { startLocalSupabase, type LocalSupabase } from '../../src/local/supabase/supabase.ts';
import { createDatabase, type Database } from '../../src/supabase/database.ts';

export interface TestSupabase extends LocalSupabase {
  database: Database;
}

/** An empty Supabase in memory, with the migrations applied: `await using supabase = await testSupabase()`. */
export async function testSupabase(): Promise<TestSupabase> {
  const local = await startLocalSupabase();
  return { ...local, database: createDatabase({ url: local.url, key: local.serviceKey }) };
}
