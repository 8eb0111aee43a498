import { afterAll, describe, expect, test } from '@jest/globals';

import { beginRebuild } from '../../src/qdrant/rebuild/begin.ts';
import { finishRebuild } from '../../src/qdrant/rebuild/finish.ts';
import { completeRebuilds, findLeftovers, removeLeftovers } from '../../src/qdrant/rebuild/leftovers.ts';
import { rebuildTarget } from '../../src/qdrant/rebuild/names.ts';
import { createVectorStore } from '../../src/qdrant/store.ts';
import { testProxy, type Instead } from '../support/proxy.ts';
import { testQdrant } from '../support/qdrant.ts';
import { beStrict } from '../support/strict-qdrant.ts';
import {
  fill,
  finishOf,
  idsIn,
  MODEL,
  NEW,
  OLD,
  pointsOf,
  rebuildOf,
  served,
  stateOf,
  type Served,
} from '../support/rebuild.ts';

const qdrant = await testQdrant();
const { store } = qdrant;

afterAll(() => qdrant.close());

const ID = 'bbbbbbbb-0000-4000-8000-000000000002';
const OTHER_ID = 'cccccccc-0000-4000-8000-000000000003';
const next = rebuildOf({ id: ID });
const keeping = rebuildOf({ id: ID, keepReplaced: true });
const PARTS = (names: readonly string[]) =>
  new Map(names.map((name) => [name, { points: NEW.length, failed: 0 }]));
/** Of the end of a rebuild: a copy or a removal, the switch, and notes of them. */
const WRITES = {
  nothing: { removed: 1, kept: 1 },
  'an alias': { removed: 3, kept: 1 },
  'a plain collection': { removed: 5, kept: 5 },
};
const KINDS: Served[] = ['nothing', 'an alias', 'a plain collection'];

/** The end of a rebuild with the ids of NEW, however it came about. */
function endState(names: readonly string[], kinds: readonly Served[], kept: boolean): object {
  const all = names.map((name, i) => {
    const { fill: filled, kept: keptAs } = rebuildTarget(name, ID);
    const before = rebuildTarget(name, rebuildOf().id).fill;
    const isAlias = kinds[i] === 'an alias';
    const isKept = kept && kinds[i] !== 'nothing';
    return {
      aliases: { [name]: filled, ...(isKept && isAlias && { [keptAs]: before }) },
      collections: { [filled]: NEW, ...(isKept && { [isAlias ? before : keptAs]: OLD }) },
    };
  });
  return {
    aliases: Object.assign({}, ...all.map(({ aliases }) => aliases)) as object,
    collections: Object.assign({}, ...all.map(({ collections }) => collections)) as object,
  };
}

describe.each([
  ['removed', next],
  ['kept', keeping],
])('what served is %s', (_, rebuild) => {
  test.each(KINDS)('%s: the name stands for what was filled, and nothing else is left', async (kind) => {
    const name = await served(store, kind);
    await fill(store, [name], rebuild, NEW);
    // Nobody sees it yet.
    expect(kind === 'nothing' ? await store.inspect(name) : await idsIn(store, name)).toEqual(
      kind === 'nothing' ? null : OLD,
    );
    const rebuilt = await finishRebuild(finishOf(store, name, rebuild, { parts: PARTS([name]) }));
    expect(await stateOf(store, [name])).toEqual(endState([name], [kind], rebuild.keepReplaced));
    const { fill: collection, kept } = rebuildTarget(name, ID);
    const isKept = rebuild.keepReplaced && kind !== 'nothing';
    expect(rebuilt).toEqual([{ name, collection, kept: isKept ? kept : null }]);
    if (isKept) expect(await idsIn(store, kept)).toEqual(OLD);
  });

  test.each(KINDS)('%s: dead after each write, and run again, it ends in the same state', async (kind) => {
    let deaths = 0;
    for (let dies = 1; deaths === dies - 1; dies += 1) {
      // A plain collection has one beside it that is none: both switch together.
      const kinds: Served[] = kind === 'a plain collection' ? [kind, 'an alias'] : [kind];
      const names = await Promise.all(kinds.map((k) => served(store, k)));
      await fill(store, names, rebuild, NEW);
      const parts = PARTS(names);
      await using proxy = await testProxy(qdrant.url);
      let writes = 0;
      proxy.intercept = ({ method, path }) => {
        if (writes >= dies) return Promise.resolve('drop');
        const isWrite = ['PUT', 'DELETE'].includes(method) || path.startsWith('/collections/aliases');
        if (isWrite && !path.includes('/index')) writes += 1;
        return Promise.resolve(writes >= dies ? 'drop_answer' : undefined);
      };
      const dying = createVectorStore({ url: proxy.url, apiKey: qdrant.apiKey, patienceMs: 1 });
      await finishRebuild(finishOf(dying, names, rebuild, { parts })).catch(() => (deaths += 1));
      // Whatever was in the way, a name serves the one or the other, whole; but for one that has to be removed first.
      for (const [k, name] of names.entries())
        if (kinds[k] === 'an alias') expect([OLD, NEW]).toContainEqual(await idsIn(store, name));

      await beginRebuild({ store, rebuild, names }, MODEL.dim);
      for (const _ of ['once', 'and once more']) {
        await finishRebuild(finishOf(store, names, rebuild, { parts }));
        expect(await stateOf(store, names)).toEqual(endState(names, kinds, rebuild.keepReplaced));
      }
    }
    expect(deaths).toBe(WRITES[kind][rebuild.keepReplaced ? 'kept' : 'removed']);
  });
});

test('a run that has died between removing a plain collection and its alias: the next one begins with the alias', async () => {
  const name = await served(store, 'a plain collection');
  await fill(store, [name], next, NEW);
  await using proxy = await testProxy(qdrant.url);
  let dead = false;
  proxy.intercept = ({ method }) => {
    const now: Instead | undefined = dead ? 'drop' : undefined;
    if (method === 'DELETE') dead = true;
    return Promise.resolve(now);
  };
  const dying = createVectorStore({ url: proxy.url, apiKey: qdrant.apiKey, patienceMs: 1 });
  await expect(finishRebuild(finishOf(dying, name, next, { parts: PARTS([name]) }))).rejects.toMatchObject({
    code: 'qdrant_unreachable',
  });
  expect(await store.inspect(name)).toBeNull();
  // It is the only one by now.
  expect(await removeLeftovers({ store, isOver: () => Promise.resolve(true) })).toEqual([]);
  await beginRebuild({ store, rebuild: next, names: [name] }, MODEL.dim);
  expect(await stateOf(store, [name])).toEqual(endState([name], ['a plain collection'], false));
});

test('the same without another run: whoever looks after the store puts the alias in place', async () => {
  const name = await served(store, 'a plain collection');
  await fill(store, [name], next, NEW);
  const { checked, fill: filled } = rebuildTarget(name, ID);
  await store.changeAliases(new Map([[checked, filled]]));
  expect(await completeRebuilds({ store })).toMatchObject({ completed: [] });
  await store.drop(name);
  expect(await completeRebuilds({ store, dryRun: true })).toMatchObject({ completed: [name] });
  expect(await store.inspect(name)).toBeNull();
  expect(await completeRebuilds({ store })).toMatchObject({ completed: [name] });
  expect(await stateOf(store, [name])).toEqual(endState([name], ['a plain collection'], false));
});

test('what was to be removed, and was not, is removed by whoever looks after the store', async () => {
  const name = await served(store, 'an alias');
  await fill(store, [name], next, NEW);
  await completeRebuilds({ store });
  expect(await idsIn(store, name)).toEqual(OLD);
  await store.changeAliases(new Map([[name, rebuildTarget(name, ID).fill]]));
  const replaced = [rebuildTarget(name, rebuildOf().id).fill];
  expect(await completeRebuilds({ store, dryRun: true })).toMatchObject({ replaced });
  expect((await store.names()).collections.has(replaced[0] ?? '')).toBe(true);
  expect(await completeRebuilds({ store })).toMatchObject({ replaced });
  expect(await stateOf(store, [name])).toEqual(endState([name], ['an alias'], false));
});

test('two names switch in one request', async () => {
  const names = [await served(store, 'an alias'), await served(store, 'an alias')];
  await fill(store, names, next, NEW);
  await using proxy = await testProxy(qdrant.url);
  const own = createVectorStore({ url: proxy.url, apiKey: qdrant.apiKey });
  await finishRebuild(finishOf(own, names, next, { parts: PARTS(names) }));
  const setting = proxy.requests
    .filter(({ path }) => path.startsWith('/collections/aliases'))
    .map(({ body }) => names.filter((name) => body.includes(`"alias_name":"${name}","collection_name"`)));
  expect(setting.filter(({ length }) => length > 0)).toEqual([names]);
});

describe('it is not switched, and what served serves', () => {
  const refused = async (
    name: string,
    code: string,
    given: Parameters<typeof finishOf>[3] = {},
    rebuild = next,
  ): Promise<string> => {
    const error: unknown = await finishRebuild(
      finishOf(store, name, rebuild, { parts: PARTS([name]), ...given }),
    ).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, retryable: false });
    expect(await idsIn(store, name)).toEqual(OLD);
    expect(await idsIn(store, rebuildTarget(name, rebuild.id).fill)).not.toEqual([]);
    return (error as Error).message;
  };

  test.each(['an alias', 'a plain collection'] as const)('where points are missing: %s', async (kind) => {
    const name = await served(store, kind);
    await fill(store, [name], next, NEW.slice(1));
    expect(await refused(name, 'rebuild_unverified')).toContain('has 3 points, and 4 were written');
  });

  test.each<[string, object]>([
    ['of another model', { payload: { model: 'other@2', job_id: 'a' } }],
    ['without a job', { payload: { model: MODEL.fingerprint } }],
    ['of zeros', { vector: Float32Array.of(0, 0) }],
  ])('where a point is %s', async (_, wrong) => {
    const name = await served(store, 'an alias');
    await fill(store, [name], next, NEW);
    const [point] = pointsOf([5]);
    if (point === undefined) throw new TypeError('no point');
    await store.upsert(rebuildTarget(name, ID).fill, [{ ...point, ...wrong }]);
    expect(await refused(name, 'rebuild_unverified')).toContain('has point 5');
  });

  test('where a point that was written is not there', async () => {
    const name = await served(store, 'an alias');
    await fill(store, [name], next, NEW);
    const parts = new Map([[name, { points: NEW.length, failed: 0, sample: [2, 99] }]]);
    expect(await refused(name, 'rebuild_unverified', { parts })).toContain('lacks point 99');
  });

  test('where it is empty, unless nothing served or that was empty too', async () => {
    const name = await served(store, 'an alias');
    await fill(store, [name], next, []);
    const parts = new Map([[name, { points: 0, failed: 0 }]]);
    await expect(finishRebuild(finishOf(store, name, next, { parts }))).rejects.toMatchObject({
      code: 'rebuild_unverified',
      message: expect.stringContaining('is empty'),
    });
    expect(await idsIn(store, name)).toEqual(OLD);
    const fresh = await served(store, 'nothing');
    await fill(store, [fresh], next, []);
    const none = new Map([[fresh, { points: 0, failed: 0 }]]);
    await finishRebuild(finishOf(store, fresh, next, { parts: none }));
    expect(await idsIn(store, fresh)).toEqual([]);
    const again = rebuildOf({ id: OTHER_ID });
    await fill(store, [fresh], again, []);
    await finishRebuild(finishOf(store, fresh, again, { parts: none }));
    expect((await store.aliases()).get(fresh)).toBe(rebuildTarget(fresh, OTHER_ID).fill);
  });

  test('where all images failed, over all parts and names, though nothing served', async () => {
    const names = [await served(store, 'nothing'), await served(store, 'nothing')];
    await fill(store, names, next, []);
    const failed = new Map(names.map((name) => [name, { points: 0, failed: 3 }]));
    await expect(
      finishRebuild(finishOf(store, names, next, { parts: failed, maxFailedShare: 1 })),
    ).rejects.toMatchObject({ code: 'all_images_failed' });
    expect([...(await store.aliases()).keys()].filter((alias) => names.includes(alias))).toEqual([]);
  });

  test.each([
    [4, 0.01, 1, true],
    [4, 0.01, 2, false],
    [4, 0, 1, false],
    [198, 0.01, 2, true],
    [197, 0.01, 3, false],
    [4, 0.5, 4, true],
  ])('of %i points and a share of %d, %i failed images may be: %p', async (points, share, failed, may) => {
    const name = await served(store, 'an alias');
    const ids = Array.from({ length: points }, (_, i) => i + 10);
    await fill(store, [name], next, ids);
    const given = { parts: new Map([[name, { points, failed }]]), maxFailedShare: share };
    if (!may) {
      expect(await refused(name, 'too_many_failed', given)).toContain(rebuildTarget(name, ID).fill);
      return;
    }
    await finishRebuild(finishOf(store, name, next, given));
    expect((await idsIn(store, name)).length).toBe(points);
  });

  test('where the last word before it says no', async () => {
    const name = await served(store, 'a plain collection');
    await fill(store, [name], keeping, NEW);
    const given = { parts: PARTS([name]), confirm: () => Promise.reject(new Error('cancelled')) };
    await expect(finishRebuild(finishOf(store, name, keeping, given))).rejects.toThrow('cancelled');
    expect(await idsIn(store, name)).toEqual(OLD);
    expect((await store.names()).collections).toContain(name);
  });

  test('where a plain collection has got another alias meanwhile, which would be lost with it', async () => {
    const name = await served(store, 'a plain collection');
    await fill(store, [name], next, NEW);
    await store.changeAliases(new Map([[`${name}_live`, name]]));
    expect(await refused(name, 'collection_in_use')).toContain(`${name}_live`);
    expect(await idsIn(store, `${name}_live`)).toEqual(OLD);
  });

  test('where another rebuild has been faster: that one serves', async () => {
    for (const kind of KINDS) {
      const name = await served(store, kind);
      const other = rebuildOf({ id: OTHER_ID });
      await fill(store, [name], next, NEW);
      await fill(store, [name], other, [7]);
      const parts = new Map([[name, { points: 1, failed: 0 }]]);
      await finishRebuild(finishOf(store, name, other, { parts }));
      const late = finishRebuild(finishOf(store, name, next, { parts: PARTS([name]) }));
      await expect(late).rejects.toMatchObject({ code: 'collection_changed' });
      expect(await idsIn(store, name)).toEqual([7]);
      // A later run of it is refused before it does anything.
      const again = beginRebuild({ store, rebuild: next, names: [name] }, MODEL.dim);
      await expect(again).rejects.toMatchObject({ code: 'collection_changed' });
      // One that begins now is not.
      const third = rebuildOf();
      await fill(store, [name], third);
      await finishRebuild(finishOf(store, name, third));
      expect(await idsIn(store, name)).toEqual(OLD);
    }
  });

  test('where another one switches while it is looked at', async () => {
    const name = await served(store, 'an alias');
    const other = rebuildOf({ id: OTHER_ID });
    await fill(store, [name], next, NEW);
    await fill(store, [name], other, [7]);
    await using proxy = await testProxy(qdrant.url);
    proxy.intercept = async ({ path }) => {
      if (!path.includes('/points/count')) return undefined;
      const parts = new Map([[name, { points: 1, failed: 0 }]]);
      await finishRebuild(finishOf(store, name, other, { parts }));
      return undefined;
    };
    const slow = createVectorStore({ url: proxy.url, apiKey: qdrant.apiKey });
    await expect(finishRebuild(finishOf(slow, name, next, { parts: PARTS([name]) }))).rejects.toMatchObject({
      code: 'collection_changed',
    });
    expect(await idsIn(store, name)).toEqual([7]);
  });
});

describe('refused before anything is made', () => {
  test.each(['an alias', 'a plain collection'] as const)('a new name that is taken: %s', async (kind) => {
    const name = await served(store, kind);
    const before = await stateOf(store, [name]);
    const rebuild = rebuildOf({ id: ID, replace: false });
    await expect(beginRebuild({ store, rebuild, names: [name] }, MODEL.dim)).rejects.toMatchObject({
      code: 'collection_exists',
    });
    expect(await stateOf(store, [name])).toEqual(before);
  });

  test('a plain collection that another alias names: it could not be removed', async () => {
    const name = await served(store, 'a plain collection');
    await store.changeAliases(new Map([[`${name}_live`, name]]));
    await expect(beginRebuild({ store, rebuild: next, names: [name] }, MODEL.dim)).rejects.toMatchObject({
      code: 'collection_in_use',
      message: expect.stringContaining(`${name}_live`),
    });
  });
});

test.each<[Served, number, boolean]>([
  ['nothing', 3, true],
  ['an alias', 1, true],
  ['an alias', 2, false],
  ['a plain collection', 2, false],
])(
  'where nobody says how many images may fail, and %s serves, %i of them may: %p',
  async (kind, failed, may) => {
    const name = await served(store, kind);
    await fill(store, [name], next, NEW);
    const parts = new Map([[name, { points: NEW.length, failed }]]);
    const finished = finishRebuild(finishOf(store, name, next, { parts, maxFailedShare: undefined }));
    if (may) await expect(finished).resolves.toHaveLength(1);
    else await expect(finished).rejects.toMatchObject({ code: 'too_many_failed' });
  },
);

test('what another alias names is not removed, and said', async () => {
  const name = await served(store, 'an alias');
  const old = rebuildTarget(name, rebuildOf().id).fill;
  await store.changeAliases(new Map([[`${name}_live`, old]]));
  await fill(store, [name], next, NEW);
  const said: string[] = [];
  const options = { parts: PARTS([name]), warn: (message: string) => said.push(message) };
  await finishRebuild(finishOf(store, name, next, options));
  expect(await idsIn(store, `${name}_live`)).toEqual(OLD);
  expect(said).toEqual([expect.stringContaining(`${name}_live`)]);
});

test('what an alias was set to by hand is not removed: it has a name of its own', async () => {
  const plain = await served(store, 'a plain collection');
  const name = await served(store, 'nothing');
  await store.changeAliases(new Map([[name, plain]]));
  await fill(store, [name], next, NEW);
  const said: string[] = [];
  const options = { parts: PARTS([name]), warn: (message: string) => said.push(message) };
  await finishRebuild(finishOf(store, name, next, options));
  await completeRebuilds({ store });
  expect(await idsIn(store, name)).toEqual(NEW);
  expect(await idsIn(store, plain)).toEqual(OLD);
  expect(said).toEqual([expect.stringContaining(plain)]);
});

test('leftovers are found and removed where their rebuild is over; what serves, or is kept, is none', async () => {
  const [name, other] = [await served(store, 'an alias'), await served(store, 'an alias')];
  await fill(store, [name], keeping, NEW);
  await finishRebuild(finishOf(store, name, keeping, { parts: PARTS([name]) }));
  await fill(store, [name, other], rebuildOf({ id: OTHER_ID }), NEW);
  const ours = [name, other].map((n) => ({
    collection: rebuildTarget(n, OTHER_ID).fill,
    name: n,
    rebuildId: OTHER_ID,
  }));
  const found = await findLeftovers({ store });
  expect(found.filter(({ name: n }) => n === name || n === other)).toEqual(
    ours.toSorted((a, b) => (a.collection < b.collection ? -1 : 1)),
  );
  const removed = await removeLeftovers({
    store,
    isOver: ({ name: n }) => Promise.resolve(n === other),
  });
  expect(removed).toEqual([ours[1]]);
  const { aliases, collections } = await store.names();
  expect(collections.has(rebuildTarget(other, OTHER_ID).fill)).toBe(false);
  expect(aliases.has(rebuildTarget(other, OTHER_ID).from)).toBe(false);
  expect(collections.has(rebuildTarget(name, OTHER_ID).fill)).toBe(true);
  expect(await idsIn(store, rebuildTarget(name, ID).kept)).toEqual(OLD);
});

test.each(['checked', 'name'] as const)(
  'a leftover that gets its %s while its rows are asked stays',
  async (alias) => {
    const name = await served(store, 'a plain collection');
    await fill(store, [name], next, NEW);
    const target = rebuildTarget(name, ID);
    const isOver = async ({ collection }: { collection: string }): Promise<boolean> => {
      if (collection !== target.fill) return false;
      // Its worker has asked its row for the last time before that was cancelled, and goes on.
      if (alias === 'name') await store.drop(name);
      await store.changeAliases(new Map([[target[alias], target.fill]]));
      return true;
    };
    expect(await removeLeftovers({ store, isOver })).toEqual([]);
    expect(await idsIn(store, target.fill)).toEqual(NEW);
  },
);

test('a strict server, which counts nothing exactly: its points are counted one by one', async () => {
  const name = await served(store, 'an alias');
  const ids = Array.from({ length: 120 }, (_, i) => i);
  await fill(store, [name], next, ids);
  await using proxy = await testProxy(qdrant.url);
  beStrict(proxy, qdrant, { search_allow_exact: false, max_query_limit: 50 });
  const strict = createVectorStore({ url: proxy.url, apiKey: qdrant.apiKey });
  const parts = (points: number) => new Map([[name, { points, failed: 0 }]]);
  await expect(finishRebuild(finishOf(strict, name, next, { parts: parts(121) }))).rejects.toMatchObject({
    message: expect.stringContaining('has 120 points'),
  });
  await finishRebuild(finishOf(strict, name, next, { parts: parts(120) }));
  expect(await store.count(name)).toBe(120);
});
