import { defineCommand } from '../command.ts';
import { RUN_ID, idOf } from '../ids.ts';

export const retryFailed = defineCommand({
  name: 'retry-failed',
  summary: 'Run again what failed in a run, shards or images, and nothing else',
  positionals: { id: RUN_ID },
  options: { follow: { kind: 'flag', about: 'Stay, and tell the progress to the end.' } },
  async run({ args, options, io, signal }) {
    const id = idOf('ID', args.id);
    const { openWorkplace } = await import('../workplace.ts');
    const api = await import('../../api/runs/retry-failed.ts');
    const place = openWorkplace();
    const run = await api.retryFailed(place.runs, id);
    io.result(run, `Run ${run.id} is submitted, with what failed in ${id}`);
    if (options.follow !== true) return;
    const { followRun } = await import('../follow.ts');
    return followRun({ id: run.id, place, io, signal });
  },
});
