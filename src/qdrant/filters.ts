import type { Schemas } from '@qdrant/js-client-rest';

/** One test of a point's payload; `key` may be nested with dots, and an array matches where one element does. */
export type Condition =
  | { key: string; match: string | number | boolean }
  | { key: string; any: readonly (string | number)[] }
  /** True where the key is absent, null or an empty list. */
  | { isEmpty: string };

/** All of `must` and none of `mustNot`. */
export interface PointFilter {
  must?: readonly Condition[];
  mustNot?: readonly Condition[];
}

/** The filter in Qdrant's words; undefined where it says nothing. */
export function toQdrantFilter(filter: PointFilter | undefined): Schemas['Filter'] | undefined {
  const must = (filter?.must ?? []).map(toQdrantCondition);
  const mustNot = (filter?.mustNot ?? []).map(toQdrantCondition);
  if (must.length === 0 && mustNot.length === 0) return undefined;
  return {
    ...(must.length === 0 ? {} : { must }),
    ...(mustNot.length === 0 ? {} : { must_not: mustNot }),
  };
}

function toQdrantCondition(condition: Condition): Schemas['Condition'] {
  if ('isEmpty' in condition) return { is_empty: { key: condition.isEmpty } };
  const { key } = condition;
  if ('match' in condition) {
    const value = condition.match;
    // Qdrant's match knows no fractions.
    if (typeof value === 'number' && !Number.isInteger(value))
      return { key, range: { gte: value, lte: value } };
    return { key, match: { value } };
  }
  // Nor does a list of its mix texts and numbers.
  const texts = condition.any.filter((v) => typeof v === 'string');
  const numbers = condition.any.filter((v) => typeof v === 'number');
  if (numbers.length === 0) return { key, match: { any: texts } };
  if (texts.length === 0) return { key, match: { any: numbers } };
  return {
    should: [
      { key, match: { any: texts } },
      { key, match: { any: numbers } },
    ],
  };
}
