import { testSupabase } from '../support/supabase.ts';
import { supabaseContract } from './supabase.contract.ts';

supabaseContract('embedded', testSupabase);

const { TEST_SUPABASE_URL: url, TEST_SUPABASE_KEY: serviceKey } = process.env;
if (url !== undefined && serviceKey !== undefined) {
  supabaseContract(`at ${url}`, () => Promise.resolve({ url, serviceKey, close: () => Promise.resolve() }));
}
