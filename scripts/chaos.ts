/**
 * Runs a whole matching job through seeded faults on every edge and compares its end with that of an undisturbed run:
 * `npm run chaos -- --seeds 20`, or `--seed 7` for one of them, with its schedule and faults. docs/chaos.md says what
 * happens. The exit code is 1 where anything was lost, doubled or wrongly marked, or a job did not come to its end.
 */
import { parseArgs } from 'node:util';

import { startChaosCloud } from '../test/support/chaos/cloud.ts';
import { isRight, runReference, runSeed, type SeedRun } from '../test/support/chaos/run.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const seeds =
  values.seed === undefined
    ? Array.from({ length: whole('seeds', values.seeds) }, (_, i) => i + 1)
    : [whole('seed', values.seed)];

await using chaos = await startChaosCloud();
const reference = await runReference(chaos);
console.log(
  `undisturbed: ${chaos.images.total} images, ${chaos.images.broken} broken, ${reference.requests} requests`,
);
const sum = { seeds: 0, kills: 0, faults: 0, lost: 0, doubled: 0, wrongly_marked: 0 };
let wrong = 0;
for (const seed of seeds) {
  const run = await runSeed(chaos, reference, seed);
  const { differences } = run;
  sum.seeds += 1;
  sum.kills += run.kills;
  sum.faults += run.faults;
  sum.lost += differences.lost;
  sum.doubled += differences.doubled;
  sum.wrongly_marked += differences.wronglyMarked;
  if (!isRight(run)) wrong += 1;
  tell(run);
}
console.log(values.json ? JSON.stringify(sum) : sum);
process.exitCode = wrong > 0 ? 1 : 0;

function tell(run: SeedRun): void {
  const { seed, kills, faults, processes, seconds, differences, schedule } = run;
  const { lost, doubled, wronglyMarked } = differences;
  const end = isRight(run)
    ? 'as undisturbed'
    : `lost ${lost}, doubled ${doubled}, wrongly marked ${wronglyMarked}`;
  console.log(`seed ${seed}: ${end}; ${processes} processes, ${kills} kills, ${faults} faults, ${seconds} s`);
  if (isRight(run) && values.seed === undefined) return;
  console.log(`  schedule: ${JSON.stringify(schedule)}`);
  console.log(`  faults: ${JSON.stringify(run.faultsByKind)}`);
  for (const text of [...differences.first, ...run.problems]) console.log(`  ${text}`);
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new TypeError(`--${name} must be a whole number above 0`);
}
