import { expect, test } from '@jest/globals';

import { StoreError } from '../../src/base/errors.ts';
import { SILENT_LOG } from '../../src/base/log.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import { keepMarking, type CutoutMarks } from '../../src/embedding/keep-marking.ts';

const refs = (from: number, count: number, type: ImageRef['type'] = 'cutout'): ImageRef[] =>
  Array.from({ length: count }, (_, i) => ({
    id: String(from + i),
    pointId: from + i,
    collection: 'c',
    type,
    url: '',
    storage: null,
    metadata: {},
  }));

interface Marking {
  marks: CutoutMarks;
  /** Sizes of the requests, refused ones too. */
  requests: number[];
  marked: Set<string>;
  warnings: string[];
  /** Undefined: it marks. */
  failure: Error | 'silence' | undefined;
}

function marking(): Marking {
  const it: Omit<Marking, 'marks'> = {
    requests: [],
    marked: new Set(),
    warnings: [],
    failure: undefined,
  };
  const whole = it as Marking;
  whole.marks = keepMarking({
    mark: (cutouts, signal) => {
      whole.requests.push(cutouts.length);
      if (whole.failure instanceof Error) return Promise.reject(whole.failure);
      if (whole.failure === 'silence') {
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        });
      }
      for (const { id } of cutouts) whole.marked.add(id);
      return Promise.resolve(cutouts.length);
    },
    signal: new AbortController().signal,
    log: SILENT_LOG,
    warn: (message) => whole.warnings.push(message),
  });
  return whole;
}

const OPEN = new AbortController().signal;
const AWAY = new StoreError('supabase', 'supabase_unavailable', 'the database is away', { retryable: true });

test('cutouts are marked as they come, and of products nothing is asked', async () => {
  const it = marking();
  await it.marks.mark(refs(0, 3));
  await it.marks.mark(refs(10, 3, 'product'));
  await it.marks.settle(OPEN);
  expect(it.requests).toEqual([3]);
  expect(it.marks.count).toBe(3);
  expect(it.warnings).toEqual([]);
});

test('cutouts that come one by one are marked together, and the rest of them at the end', async () => {
  const it = marking();
  for (let i = 0; i < 300; i += 1) await it.marks.markTogether(refs(i, 1));
  await it.marks.markTogether(refs(1_000, 300, 'product'));
  expect(it.requests).toEqual([256]);
  await it.marks.settle(OPEN);
  expect(it.requests).toEqual([256, 44]);
  expect(it.marks.count).toBe(300);
  expect(it.warnings).toEqual([]);
});

test('those that have not come together yet are missing too where the end can do nothing', async () => {
  const it = marking();
  await it.marks.markTogether(refs(0, 5));
  it.failure = AWAY;
  await it.marks.settle(OPEN);
  expect(it.warnings).toEqual([expect.stringMatching(/^5 cutouts .*the database is away/)]);
});

test('after a failure the rows are left alone, and what came meanwhile is marked at the end', async () => {
  const it = marking();
  it.failure = AWAY;
  for (const i of [0, 1, 2, 3]) await it.marks.mark(refs(i * 10, 10));
  expect(it.requests).toEqual([10]);
  it.failure = undefined;
  await it.marks.settle(OPEN);
  expect(it.marked.size).toBe(40);
  expect(it.marks.count).toBe(40);
  expect(it.warnings).toEqual([]);
});

test('what is left at the end is one warning, with all of them in its number and the reason', async () => {
  const it = marking();
  it.failure = AWAY;
  // More than are kept for the end.
  for (let i = 0; i < 25; i += 1) await it.marks.mark(refs(i * 1_000, 1_000));
  await it.marks.settle(OPEN);
  expect(it.warnings).toEqual([
    '25000 cutouts have their point but their rows could not be marked (the database is away): ' +
      'a job with append_only_new marks them',
  ]);
  expect(it.marks.count).toBe(0);
});

test('those that are beyond what is kept are missing in the end, whatever the end could do', async () => {
  const it = marking();
  it.failure = AWAY;
  for (let i = 0; i < 25; i += 1) await it.marks.mark(refs(i * 1_000, 1_000));
  it.failure = undefined;
  await it.marks.settle(OPEN);
  expect(it.marks.count).toBe(20_000);
  expect(it.warnings).toEqual([expect.stringMatching(/^5000 cutouts .*the database is away/)]);
});

test('a database that never answers ends with the time there is, and says what was in the way before', async () => {
  const it = marking();
  it.failure = AWAY;
  await it.marks.mark(refs(0, 10));
  it.failure = 'silence';
  await it.marks.settle(AbortSignal.timeout(20));
  expect(it.warnings).toEqual([expect.stringMatching(/^10 cutouts .*the database is away/)]);
});
