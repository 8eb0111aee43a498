import { defineCommand } from '../command.ts';
import { RUN_ID, idOf } from '../ids.ts';
import { UsageError } from '../usage-error.ts';

export const retryFailed = defineCommand({
  name: 'retry-failed',
  summary: 'Run again what failed in a run, shards or images, and nothing else',
  positionals: { id: RUN_ID },
  options: {
    follow: { kind: 'flag', about: 'Stay, and tell the progress to the end.' },
    'max-failed-share': {
      kind: 'text',
      value: 'SHARE',
      about:
        'Of a run that builds collections anew and goes on: so many of its images may have failed, 0 to 1.',
    },
  },
  async run({ args, options, io, signal }) {
    const id = idOf('ID', args.id);
    const maxFailedShare = shareOf(options['max-failed-share']);
    const { openWorkplace } = await import('../workplace.ts');
    const api = await import('../../api/runs/retry-failed.ts');
    const place = openWorkplace();
    const run = await api.retryFailed(place.runs, id, { maxFailedShare });
    io.result(run, `Run ${run.id} is submitted, with what failed in ${id}`);
    if (options.follow !== true) return;
    const { followRun } = await import('../follow.ts');
    return followRun({ id: run.id, place, io, signal });
  },
});

function shareOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const share = Number(text);
  if (text.trim() !== '' && share >= 0 && share <= 1) return share;
  throw new UsageError(`--max-failed-share: expected a number from 0 to 1, found ${JSON.stringify(text)}`);
}
