import type { Reconciled } from '../../api/runs/reconcile.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exit-codes.ts';

export const reconcile = defineCommand({
  name: 'reconcile',
  summary: 'Give runs whose worker died, timed out or was purged their true end',
  details: 'The API does so by itself, on a timer. Exit code 1 where RunPod or the database did not answer.',
  async run({ io, signal }) {
    const { openWorkplace } = await import('../workplace.ts');
    const api = await import('../../api/runs/reconcile.ts');
    const { runs } = openWorkplace();
    if (Object.keys(runs.endpoints).length === 0) {
      const { SettingsError } = await import('../../base/errors.ts');
      throw new SettingsError(
        'this command needs RUNPOD_API_KEY, and RUNPOD_ENDPOINT_EMBEDDING or RUNPOD_ENDPOINT_CLS_TRAINING',
      );
    }
    const done = await api.reconcile(runs, { signal });
    io.result(done, textOf(done));
    return done.failures.length === 0 ? EXIT.ok : EXIT.failed;
  },
});

function textOf({ looked_at, ended, results, failures }: Reconciled): string {
  return [
    `${looked_at} runs had not ended; ${ended.length} of all were given their end, ${results} results were kept`,
    ...ended.map(
      ({ id, status, reason }) => `${id} is ${status}${reason === undefined ? '' : `: ${reason}`}`,
    ),
    ...failures.map(({ kind, reason }) => `Runs of ${kind} could not be looked at: ${reason}`),
  ].join('\n');
}
