import { lookAtSettings } from '../../base/settings.ts';
import { failed, type Finding, type Patient } from './finding.ts';
import { checkMachine } from './machine.ts';
import { checkModels } from './models.ts';
import { checkQdrant } from './qdrant.ts';
import { checkRunPod } from './runpod.ts';
import { checkSettings } from './settings.ts';
import { checkSupabase } from './supabase.ts';

const CHECKS: Readonly<Record<string, (patient: Patient) => Promise<Finding[]>>> = {
  supabase: checkSupabase,
  qdrant: checkQdrant,
  runpod: checkRunPod,
  models: checkModels,
  machine: checkMachine,
};

/** What answers at all answers in this time. */
const LIMITS = { patienceMs: 0, timeoutMs: 8_000 };

/** Everything that a job and this program need, looked at side by side, in the order in which it is told. */
export async function* examine(
  signal: AbortSignal,
  environment?: Readonly<Record<string, string>>,
): AsyncGenerator<Finding> {
  yield { check: 'node', status: 'ok', detail: process.version };
  const look = lookAtSettings(environment);
  const { settings } = look;
  yield* checkSettings(look);
  const looking = Object.entries(CHECKS).map(([name, check]) =>
    check({ settings, limits: LIMITS, signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      return [failed(name, error)];
    }),
  );
  // One that fails before its turn has somebody to hear it.
  await Promise.allSettled(looking);
  for (const findings of looking) yield* await findings;
}
