import { readSettings, type Settings } from '../base/settings.ts';
import { supabaseFitness } from '../job/fitness.ts';
import { proveProvider } from '../model/probe.ts';
import type { FitnessCheck } from '../worker/fitness.ts';

const PATIENCE_MS = 20_000;

/** What a training job needs before the first: the promised provider runs a model, and the environment's Supabase answers. */
export function classificationFitness(
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
    supabaseFitness({ read, table: 'cls_training_runs', patienceMs }),
  ];
}
