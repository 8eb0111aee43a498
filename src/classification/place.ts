import { randomUUID } from 'node:crypto';

import { optionalSupabase, resolveSupabase } from '../base/credentials.ts';
import { createSigner, type SignPaths } from '../job/sign.ts';
import { createDatabase, type Database } from '../supabase/database.ts';
import { bucketStore, OUTPUT_STORE, type ArtefactStore } from './artefacts.ts';
import type { ClassificationInput } from './input.ts';
import type { ClassificationTools } from './tools.ts';

/** What a run reads from and writes to. */
export interface RunPlace {
  /** The row's, or one of this attempt alone. */
  runId: string;
  /** Has the run a row? Else it writes none, and its model is a part of the output. */
  hasRow: boolean;
  /** Undefined: the run has no row, and no Supabase is set up. */
  database: Database | undefined;
  /** Addresses of what lies in storage. */
  sign: SignPaths;
  artefacts: ArtefactStore;
}

/** @throws InputError that names what to set, where the run has a row and no Supabase is set up */
export function placeOf(
  input: Pick<ClassificationInput, 'training_run_id' | 'supabase_url' | 'supabase_key'>,
  { settings, patienceMs }: Pick<ClassificationTools, 'settings' | 'patienceMs'>,
): RunPlace {
  const keys = { supabase_url: input.supabase_url, supabase_service_key: input.supabase_key };
  const { training_run_id: runId } = input;
  if (runId === undefined) {
    const supabase = optionalSupabase(keys, settings);
    const database = supabase && createDatabase({ ...supabase, patienceMs });
    const sign = createSigner(database, 'supabase_key');
    return { runId: randomUUID(), hasRow: false, database, sign, artefacts: OUTPUT_STORE };
  }
  const database = createDatabase({ ...resolveSupabase(keys, settings, 'supabase_key'), patienceMs });
  const artefacts = bucketStore(database, runId);
  return { runId, hasRow: true, database, sign: createSigner(database), artefacts };
}
