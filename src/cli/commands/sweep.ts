import type { Swept } from '../../api/runs/leftovers.ts';
import { defineCommand } from '../command.ts';

export const sweep = defineCommand({
  name: 'sweep',
  summary: 'Remove the collections that failed and cancelled runs have left half built',
  details:
    'What a name stands for is never removed, nor what a run goes on with that has not ended, nor what no run is known of. A name whose worker died while switching it is switched. A run whose part was removed begins anew when it is retried: retry first what is to be kept.',
  options: {
    'dry-run': { kind: 'flag', about: 'Change nothing: say what would be.' },
  },
  examples: ['sweep --dry-run', 'sweep'],
  async run({ options, io, signal }) {
    const { openWorkplace } = await import('../workplace.ts');
    const { sweepLeftovers } = await import('../../api/runs/leftovers.ts');
    const { database, store } = openWorkplace().stores();
    const dryRun = options['dry-run'] === true;
    const swept = await sweepLeftovers({ database, store, dryRun, signal });
    io.result(swept, textOf(swept, dryRun ? 'would be' : 'is'));
    return undefined;
  },
});

function textOf({ completed, replaced, removed }: Swept, is: string): string {
  const lines = [
    ...completed.map((name) => `${name} led nowhere, and ${is} switched to what was built for it`),
    ...replaced.map((collection) => `${collection} ${is} removed: another has replaced it`),
    ...removed.map(({ collection, name, rebuildId }) => {
      return `${collection} ${is} removed: run ${rebuildId} did not finish it for ${name}`;
    }),
  ];
  return lines.length === 0 ? 'Nothing is left over.' : lines.join('\n');
}
