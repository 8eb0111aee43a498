import { readSettings, type Settings } from '../base/settings.ts';
import { supabaseFitness } from '../job/fitness.ts';
import { proveProvider } from '../model/probe.ts';
import { createVectorStore } from '../qdrant/store.ts';
import type { FitnessCheck } from '../worker/fitness.ts';

/** A store that restarts is waited for; one that is away for longer is a worker's reason not to take jobs. */
const PATIENCE_MS = 20_000;
/** Asked for, never made: any answer shows that the server is there and takes the key. */
const NO_COLLECTION = 'fitness-check';

/**
 * What an extraction needs before its first job: the promised provider runs a model, and the stores of the environment,
 * where it names any, answer. Stores that only a job names are looked at by the job.
 */
export function embeddingFitness(
  read: () => Settings = readSettings,
  patienceMs = PATIENCE_MS,
): FitnessCheck[] {
  return [
    {
      name: 'execution provider',
      check: async () => {
        await proveProvider(read());
      },
    },
    supabaseFitness({ read, table: 'embedding_jobs', patienceMs }),
    {
      name: 'qdrant',
      check: async (signal) => {
        const { QDRANT_URL: url, QDRANT_API_KEY: apiKey } = read();
        if (url === undefined) return;
        const key = apiKey === undefined ? {} : { apiKey };
        await createVectorStore({ url, ...key, patienceMs }).inspect(NO_COLLECTION, signal);
      },
    },
  ];
}
