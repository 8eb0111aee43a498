import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { startChaosCloud, type ChaosCloud } from '../support/chaos/cloud.ts';
import { compareStates } from '../support/chaos/compare.ts';
import { runReference, runSeed, type Reference } from '../support/chaos/run.ts';
import { createFaults, createSchedule, type Edge } from '../support/chaos/schedule.ts';
import { readEndState } from '../support/chaos/state.ts';
import { askQdrant, cutoutId, pointsOf, type Row } from '../support/job.ts';

/** What happens to the processes in each: `--seed` of `npm run chaos` says the rest. */
const SEEDS: [number, string][] = [
  [6, 'SIGTERM SIGKILL'],
  [7, 'twin SIGKILL twin SIGKILL'],
];
/** Far more than it takes, on a machine that does much else. */
const MINUTES = 60_000;

let chaos: ChaosCloud;
let reference: Reference;

beforeAll(async () => {
  chaos = await startChaosCloud();
  reference = await runReference(chaos);
}, 3 * MINUTES);

afterAll(async () => {
  await chaos[Symbol.asyncDispose]();
});

const compared = async () => compareStates(reference.state, await readEndState(chaos.cloud));

test('an undisturbed run differs in nothing from itself', async () => {
  expect(await compared()).toEqual({ lost: 0, doubled: 0, wronglyMarked: 0, first: [] });
});

const sql = (text: string, ...parameters: unknown[]): Promise<Row[]> =>
  chaos.cloud.supabase.sql(text, parameters);
/** A point of a collection, as it is. */
const pointOf = async (collection: string, at: number) => {
  const point = [...(await pointsOf(chaos.cloud, collection)).values()][at];
  if (point === undefined) throw new TypeError(`${collection} has no point ${at}`);
  return point;
};
const putPoint = (collection: string, point: object): Promise<unknown> =>
  askQdrant(chaos.cloud, 'PUT', `/collections/${collection}/points?wait=true`, { points: [point] });
const removePoint = (collection: string, id: string): Promise<unknown> =>
  askQdrant(chaos.cloud, 'POST', `/collections/${collection}/points/delete?wait=true`, { points: [id] });

const NOTHING = { lost: 0, doubled: 0, wronglyMarked: 0 };
/** Its picture is broken. */
const FAILED = cutoutId(0);

const plants: [string, Partial<typeof NOTHING>, () => Promise<unknown>][] = [
  [
    'a lost point',
    { lost: 1 },
    async () => removePoint('chaos_products', (await pointOf('chaos_products', 0)).id),
  ],
  [
    "a cutout's lost point, whose mark is wrong from then on",
    { lost: 1, wronglyMarked: 1 },
    () => removePoint('chaos_cutouts', cutoutId(1)),
  ],
  [
    'another vector',
    { lost: 1 },
    async () => {
      const { vector, ...point } = await pointOf('chaos_products', 1);
      await putPoint('chaos_products', { ...point, vector: vector.map((x, i) => (i === 0 ? x + 1e-4 : x)) });
    },
  ],
  [
    'another payload',
    { lost: 1 },
    async () => {
      const point = await pointOf('chaos_products', 2);
      await putPoint('chaos_products', { ...point, payload: { ...point.payload, content: 'other' } });
    },
  ],
  [
    'a point too many',
    { doubled: 1 },
    async () => {
      const point = await pointOf('chaos_products', 3);
      await putPoint('chaos_products', { ...point, id: 'd0000000-0000-4000-8000-000000000001' });
    },
  ],
  [
    'a row too many',
    { doubled: 1 },
    () =>
      sql(`insert into embedding_job_failures (job_id, collection, image_id, url, code)
           select job_id, collection, image_id, url || '#again', code from embedding_job_failures limit 1`),
  ],
  [
    'a row lost',
    { lost: 1 },
    () =>
      sql(`delete from embedding_job_failures where id =
           (select max(id) from embedding_job_failures where image_type = 'product')`),
  ],
  [
    'another number in a row',
    { lost: 1 },
    () => sql(`update embedding_collections set vector_count = 1 where name = 'chaos_cutouts'`),
  ],
  ['another state of the job', { lost: 1 }, () => sql(`update embedding_jobs set processed_images = 1`)],
  [
    'a mark lost',
    { lost: 1 },
    () =>
      sql(
        'update cutout_images set has_embedding = false, qdrant_point_id = null where id = $1',
        cutoutId(2),
      ),
  ],
  [
    'a mark of a cutout that failed',
    { wronglyMarked: 1 },
    () => sql('update cutout_images set has_embedding = true, qdrant_point_id = id where id = $1', FAILED),
  ],
];

test('what is planted into the end of a run is counted, each thing once, and named', async () => {
  let before = await compared();
  for (const [what, expected, plant] of plants) {
    await plant();
    const after = await compared();
    const more = {
      lost: after.lost - before.lost,
      doubled: after.doubled - before.doubled,
      wronglyMarked: after.wronglyMarked - before.wronglyMarked,
    };
    expect([what, more]).toEqual([what, { ...NOTHING, ...expected }]);
    expect(after.first.length).toBeGreaterThan(before.first.length);
    before = after;
  }
});

test('a schedule is the same for the same seed, and another for another', () => {
  expect(createSchedule(7, 300)).toEqual(createSchedule(7, 300));
  expect(createSchedule(7, 300)).not.toEqual(createSchedule(8, 300));
});

test('the first start of every seed meets a death while there is still something to do', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const [first = []] = createSchedule(seed, 300).starts;
    const deaths = first.filter(({ what }) => what !== 'twin');
    expect(Math.min(...deaths.map(({ at }) => at))).toBeLessThanOrEqual(0.8 * 300 + 1);
  }
});

test.each<[Edge, string, string, number]>([
  ['images', 'GET', '/frames/a.png', 2],
  ['supabase', 'GET', '/storage/v1/object/sign/frames/a.jpg', 2],
  ['supabase', 'GET', '/rest/v1/products', 3],
  ['qdrant', 'PUT', '/collections/a/points', 3],
])(
  'faults pass: %s gives no more to %s %s in a row than a right client outlives',
  (edge, method, path, most) => {
    const request = { method, path, body: '{}' };
    let longest = 0;
    for (let seed = 1; seed <= 200; seed += 1) {
      const faults = createFaults({ seed, starts: [], away: {}, maxPointsInWrite: undefined });
      let row = 0;
      for (let i = 0; i < 60; i += 1) {
        row = faults.faultOf(edge, request) === undefined ? 0 : row + 1;
        longest = Math.max(longest, row);
      }
      faults.stop();
      expect(faults.faultOf(edge, request)).toBeUndefined();
    }
    expect(longest).toBe(most);
  },
);

test.each(SEEDS)(
  'seed %d (%s): a job through faults and deaths ends as an undisturbed one',
  async (seed, happens) => {
    const { differences, problems, schedule, kills, faults } = await runSeed(chaos, reference, seed);
    expect(
      schedule.starts
        .flat()
        .map(({ what }) => what)
        .join(' '),
    ).toBe(happens);
    expect(differences).toEqual({ ...NOTHING, first: [] });
    expect(problems).toEqual([]);
    expect(kills).toBeGreaterThan(0);
    expect(faults).toBeGreaterThan(10);
  },
  5 * MINUTES,
);
