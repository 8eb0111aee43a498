import { END_STATES, RUN_KINDS } from '../../api/runs/run-kinds.ts';
import { defineCommand } from '../command.ts';
import { RUN_ID, idOf } from '../ids.ts';
import { UsageError } from '../usage-error.ts';

const UNFINISHED = Object.values(RUN_KINDS).flatMap(({ unfinished }) => unfinished);
const LISTED = 20;
const MAX_LISTED = 200;

export const status = defineCommand({
  name: 'status',
  summary: 'One run, or the newest runs; --follow tells the progress to the end',
  positionals: { id: { ...RUN_ID, optional: true } },
  options: {
    follow: { kind: 'flag', about: 'Stay, and tell the progress to the end.' },
    failures: { kind: 'flag', about: 'The images of the run that failed, and why.' },
    kind: { kind: 'text', about: 'Only runs of this kind.', values: ['embedding', 'classification'] },
    status: {
      kind: 'text',
      value: 'STATUS',
      about: 'Only runs in this state.',
      values: [...new Set([...UNFINISHED, ...END_STATES])],
    },
    parent: {
      kind: 'text',
      value: 'ID',
      about: 'Only the shards of this run, which are not listed otherwise.',
    },
    limit: { kind: 'count', about: `How many to list, up to ${MAX_LISTED}. Default: ${LISTED}.` },
  },
  examples: [
    'status',
    'status --status failed --limit 5',
    'status ID --follow',
    'status ID --failures --json',
  ],
  async run({ args, options, io, signal }) {
    const { follow, failures, kind, status: state, limit = LISTED } = options;
    if (limit < 1 || limit > MAX_LISTED) throw new UsageError(`--limit: expected 1 to ${MAX_LISTED}`);
    const id = args.id === undefined ? undefined : idOf('ID', args.id);
    if (id === undefined && (follow === true || failures === true))
      throw new UsageError('status needs ID, the run, for --follow and --failures');
    const ofList = [kind, state, options.parent, options.limit].some((given) => given !== undefined);
    if (id !== undefined && ofList)
      throw new UsageError('--kind, --status, --parent and --limit choose among all runs: leave ID out');
    const { openWorkplace } = await import('../workplace.ts');
    const { runTable, runText } = await import('../run-text.ts');
    const place = openWorkplace();
    if (id === undefined) {
      const { listRuns } = await import('../../api/runs/run-view.ts');
      const parent = options.parent === undefined ? undefined : idOf('--parent', options.parent);
      const runs = await listRuns(place.database, { kind, status: state, parent, limit, signal });
      io.result(runs, runTable(runs));
    } else if (failures === true) {
      const { tellFailures } = await import('../failures.ts');
      await tellFailures({ id, place, io, signal });
    } else if (follow === true) {
      const { followRun } = await import('../follow.ts');
      return followRun({ id, place, io, signal });
    } else {
      const run = await place.reader.read(id, signal);
      io.result(run, runText(run));
    }
  },
});
