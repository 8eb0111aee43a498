import { z } from 'zod';

import { optionalSupabase } from '../base/credentials.ts';
import type { Settings } from '../base/settings.ts';
import { createDatabase } from '../supabase/database.ts';
import type { FitnessCheck } from '../worker/fitness.ts';

export interface SupabaseFitnessOptions {
  read: () => Settings;
  /** The jobs' own table. */
  table: string;
  /** A store that restarts is waited for; one that is away for longer is a worker's reason not to take jobs. */
  patienceMs: number;
}

/** The Supabase of the environment answers, where it names one. One that only a job names is looked at by the job. */
export function supabaseFitness({ read, table, patienceMs }: SupabaseFitnessOptions): FitnessCheck {
  return {
    name: 'supabase',
    check: async (signal) => {
      const credentials = optionalSupabase({}, read());
      if (credentials === undefined) return;
      const database = createDatabase({ ...credentials, patienceMs });
      await database.find({ table, columns: 'id', schema: z.looseObject({}), signal });
    },
  };
}
