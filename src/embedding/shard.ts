import { z } from 'zod';

import type { InputIssue } from '../base/errors.ts';
import { uuid, wholeNumber } from '../job/fields.ts';

/** What one request adds as rows in one statement, and far more than an endpoint has workers. */
export const MAX_SHARDS = 500;

const OBJECT = { error: 'expected an object' };

/** Keys from one on and before another, as Postgres orders uuids: as their text in lower case. */
const KEY_RANGE = z.object(
  {
    from: uuid().optional().describe('The first key; absent in the first shard.'),
    before: uuid().optional().describe('The key behind the last one; absent in the last shard.'),
  },
  OBJECT,
);

/** One part of a listing that several jobs share: what matches the filters is in exactly one of them. */
export const SHARD = z.object(
  {
    index: wholeNumber(0, MAX_SHARDS - 1).describe('Which part, from 0.'),
    of: wholeNumber(1, MAX_SHARDS).describe('How many parts there are.'),
    products: KEY_RANGE.optional().describe('Products of this part, by id; their matched cutouts with them.'),
    cutouts: KEY_RANGE.optional().describe(
      'Cutouts of this part, by id, where they are not read as matches.',
    ),
  },
  OBJECT,
);

export type Shard = z.infer<typeof SHARD>;
export type KeyRange = z.infer<typeof KEY_RANGE>;

/** Which of its two ranges a listing reads. */
export interface ReadRanges {
  products: boolean;
  cutouts: boolean;
}

interface ListedTypes {
  type: 'both' | 'products' | 'cutouts';
  filters: { include_matched_cutouts: boolean };
}

/** Cutouts that are read as matches of products follow their products. */
export function rangesOf({ type, filters }: ListedTypes): ReadRanges {
  const asMatches = type !== 'products' && filters.include_matched_cutouts;
  return { products: type !== 'cutouts' || asMatches, cutouts: type !== 'products' && !asMatches };
}

/** What keeps the shards of a request from covering its listing, each row once; keys as paths below the shard. */
export function shardIssues(shard: Shard, reads: ReadRanges): InputIssue[] {
  const { index, of } = shard;
  if (index >= of) return [{ key: 'index', message: `expected a whole number below ${of}, as of is ${of}` }];
  return (['products', 'cutouts'] as const).flatMap((name) => {
    const range = shard[name];
    if (reads[name]) return rangeIssues(range ?? {}, shard, name);
    if (range === undefined) return [];
    return [
      { key: name, message: `is not read, as this job lists no ${name} by their own ids; leave it out` },
    ];
  });
}

function rangeIssues({ from, before }: KeyRange, { index, of }: Shard, name: string): InputIssue[] {
  const issues: InputIssue[] = [];
  const side = (key: 'from' | 'before', value: string | undefined, isOpen: boolean): void => {
    const path = `${name}.${key}`;
    if (isOpen && value !== undefined)
      issues.push({ key: path, message: `expected no key, as shard ${index} of ${of} is open on this side` });
    if (!isOpen && value === undefined)
      issues.push({
        key: path,
        message: `is missing; expected a uuid, as shard ${index} of ${of} ends here`,
      });
  };
  side('from', from, index === 0);
  side('before', before, index === of - 1);
  if (from !== undefined && before !== undefined && before < from)
    issues.push({ key: `${name}.before`, message: 'expected a uuid that is not below from' });
  return issues;
}

/** For a uuid in lower case. */
export function isInRange(id: string, { from, before }: KeyRange = {}): boolean {
  return (from === undefined || id >= from) && (before === undefined || id < before);
}
