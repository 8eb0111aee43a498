import { z } from 'zod';

import { badBody, Fault, unsupported } from './fault.ts';
import { parsePayloadPath, type PayloadChoice } from './payload-path.ts';
import { toPointKey } from './point-key.ts';

/** Null means absent, as in Qdrant. */
function optional<T>(schema: z.ZodType<T>) {
  return schema.nullish().transform((value) => value ?? undefined);
}

function defaulted<T>(schema: z.ZodType<T>, value: T) {
  return schema.nullish().transform((given) => given ?? value);
}

/** Checked where it is used. */
const id = z.unknown().transform(toPointKey);
const vector = z.custom<readonly number[]>((value) => Array.isArray(value), {
  error: 'expected a list of numbers: named, sparse and multiple vectors are not supported here',
});
const payload = z.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  { error: 'expected an object' },
);
const filter = optional(z.unknown());
const paths = z.array(z.string()).transform((keys) => keys.map(parsePayloadPath));

const withPayload = (byDefault: boolean) =>
  z
    .union([
      z.boolean(),
      paths.transform((include) => ({ include })),
      z.strictObject({ include: paths }),
      z.strictObject({ exclude: paths }),
    ])
    .nullish()
    .transform((given): PayloadChoice => {
      const wanted = given ?? byDefault;
      if (typeof wanted === 'boolean') return { kind: wanted ? 'all' : 'none' };
      if ('include' in wanted) return { kind: 'include', paths: wanted.include };
      return { kind: 'exclude', paths: wanted.exclude };
    });
const withVector = defaulted(
  z.boolean({ error: 'expected true or false: vectors have no names here' }),
  false,
);
const limit = z.number().int().min(1, { error: 'value must be 1 or larger' });
const offset = defaulted(z.number().int().min(0), 0);

const DISTANCES = ['Cosine', 'Dot', 'Euclid', 'Manhattan'] as const;
export type Distance = (typeof DISTANCES)[number];

/** What pgvector can hold; Qdrant itself goes to 65,536. */
const MAX_SIZE = 16_000;

export const CREATE_COLLECTION = z.strictObject({
  vectors: z.strictObject({
    size: z
      .number()
      .int()
      .min(1)
      .max(MAX_SIZE, { error: `the embedded server holds at most ${String(MAX_SIZE)} numbers a vector` }),
    distance: z.enum(DISTANCES),
  }),
});

const INDEX_TYPES = ['keyword', 'integer', 'float', 'bool', 'uuid'] as const;
const indexType = z.enum(INDEX_TYPES, { error: `expected one of ${INDEX_TYPES.join(', ')}` });
export const CREATE_INDEX = z.strictObject({
  field_name: z.string().min(1),
  field_schema: z.union([indexType, z.strictObject({ type: indexType }).transform(({ type }) => type)]),
});

const POINT = z.strictObject({ id, vector, payload: defaulted(payload, {}) });
const POINT_LIST = z.strictObject({ points: z.array(POINT), shard_key: z.null().optional() });
const POINT_BATCH = z
  .strictObject({
    batch: z.strictObject({
      ids: z.array(id),
      vectors: z.array(vector),
      payloads: optional(z.array(payload.nullable())),
    }),
    shard_key: z.null().optional(),
  })
  .transform(({ batch: { ids, vectors, payloads } }) => {
    if (vectors.length !== ids.length || (payloads ?? ids).length !== ids.length) {
      throw new Fault(422, 'Validation error in JSON body: ids, vectors and payloads differ in number');
    }
    return {
      points: ids.map((key, i) => ({ id: key, vector: vectors[i] ?? [], payload: payloads?.[i] ?? {} })),
    };
  });
export type PointRequest = z.infer<typeof POINT>;
export const UPSERT = (body: unknown): z.ZodType<{ points: PointRequest[] }> =>
  typeof body === 'object' && body !== null && 'batch' in body ? POINT_BATCH : POINT_LIST;

const selection = {
  with_payload: withPayload(true),
  with_vector: withVector,
  shard_key: z.null().optional(),
};
export const RETRIEVE = z.strictObject({ ids: z.array(id), ...selection });
export const SCROLL = z.strictObject({
  ...selection,
  filter,
  limit: defaulted(limit, 10),
  offset: z
    .unknown()
    .optional()
    .transform((given) => (given === undefined || given === null ? undefined : toPointKey(given))),
});
export const COUNT = z.strictObject({ filter, exact: optional(z.boolean()), shard_key: z.null().optional() });
export const DELETE_POINTS = z.union([
  z.strictObject({ points: z.array(id), shard_key: z.null().optional() }),
  z.strictObject({
    filter: z.unknown().refine((f) => f !== null && f !== undefined),
    shard_key: z.null().optional(),
  }),
]);

const nearest = z
  .unknown()
  .optional()
  .transform((given) => {
    const wanted = typeof given === 'object' && given !== null && 'nearest' in given ? given.nearest : given;
    if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
      const others = Object.keys(given).filter((key) => key !== 'nearest');
      if (others.length > 0) throw unsupported(`query with ${others.join(', ')}`);
    }
    if (wanted === undefined || wanted === null) throw unsupported('a query that asks for nothing');
    if (!Array.isArray(wanted)) return { key: toPointKey(wanted) };
    return { vector: wanted as readonly number[] };
  });
/** Search here is exact: asking for that, or for more effort, changes nothing. */
const params = optional(
  z.strictObject({ exact: optional(z.boolean()), hnsw_ef: optional(z.number().int()) }),
);
export const QUERY = z.strictObject({
  query: nearest,
  filter,
  params,
  limit: defaulted(limit, 10),
  offset,
  score_threshold: optional(z.number()),
  with_payload: withPayload(false),
  with_vector: withVector,
  shard_key: z.null().optional(),
});
export const QUERY_BATCH = z.strictObject({ searches: z.array(QUERY) });
export type QueryRequest = z.infer<typeof QUERY>;

const name = z.string().min(1);
export const CHANGE_ALIASES = z.strictObject({
  actions: z.array(
    z.union([
      z.strictObject({ create_alias: z.strictObject({ collection_name: name, alias_name: name }) }),
      z.strictObject({ delete_alias: z.strictObject({ alias_name: name }) }),
      z.strictObject({ rename_alias: z.strictObject({ old_alias_name: name, new_alias_name: name }) }),
    ]),
  ),
});
export type AliasAction = z.infer<typeof CHANGE_ALIASES>['actions'][number];

/** @throws Fault 400 that names the first keys that are wrong or not supported; 422 for a number out of bounds */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const faults = result.error.issues.slice(0, 5).flatMap(describe);
  const outOfBounds = result.error.issues.every((issue) => ['too_small', 'too_big'].includes(issue.code));
  if (outOfBounds) throw new Fault(422, `Validation error in JSON body: [${faults.join('; ')}]`);
  throw badBody(faults.join('; '));
}

function describe(issue: z.core.$ZodIssue): string[] {
  const at = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  if (issue.code === 'unrecognized_keys') {
    return [`${at}not supported by the embedded server: ${issue.keys.map((key) => `\`${key}\``).join(', ')}`];
  }
  if (issue.code === 'invalid_union')
    return [...new Set(issue.errors.flat().flatMap(describe))].map((e) => at + e);
  return [`${at}${issue.message}`];
}
