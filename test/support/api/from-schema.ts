import fc from 'fast-check';

type Json = Record<string, unknown>;

/** What a fuzzer knows of the world besides the schema: texts that mean something in it. */
export interface FuzzOptions {
  /** `#/components/schemas/...` by name. */
  schemas: Record<string, Json>;
  /** Ids and names that exist. */
  known: readonly string[];
}

const MAX_DEPTH = 6;
const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    '\0',
    '\ud800',
    "'; drop table x; --",
    '../..',
    '%00',
    '{}',
    'null',
    '1e999',
    'a'.repeat(300),
  ),
);
const oddValue = fc.oneof(fc.jsonValue(), oddText, fc.constantFrom(null, -1, 1e308, 2 ** 53, {}, [], true));

/** Values that this schema takes, and now and then, at any depth, values that it does not. */
export function fromSchema(schema: Json, options: FuzzOptions, depth = 0): fc.Arbitrary<unknown> {
  const right = rightFor(schema, options, depth);
  return fc.oneof({ arbitrary: right, weight: 25 }, { arbitrary: oddValue, weight: 1 });
}

function rightFor(schema: Json, options: FuzzOptions, depth: number): fc.Arbitrary<unknown> {
  const below = (child: unknown): fc.Arbitrary<unknown> => fromSchema(child as Json, options, depth + 1);
  if (depth > MAX_DEPTH) return fc.constant(null);
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1);
    return rightFor(options.schemas[name] ?? {}, options, depth);
  }
  if (Array.isArray(schema.anyOf)) return fc.oneof(...schema.anyOf.map(below));
  if (Array.isArray(schema.enum)) return fc.constantFrom(...(schema.enum as unknown[]));
  if ('const' in schema) return fc.constant(schema.const);
  switch (schema.type) {
    case 'string':
      return textOf(schema, options);
    case 'boolean':
      return fc.boolean();
    case 'integer':
    case 'number': {
      const min = (schema.minimum as number | undefined) ?? -10;
      return fc.integer({
        min: Math.ceil(min),
        max: Math.max(min, Math.min((schema.maximum as number | undefined) ?? 1e6, 1e6)),
      });
    }
    case 'array':
      return fc.array(below(schema.items ?? {}), { maxLength: 3 });
    case 'object':
      return objectOf(schema, below);
    case 'null':
      return fc.constant(null);
    default:
      return fc.jsonValue();
  }
}

function textOf({ pattern, format }: Json, { known }: FuzzOptions): fc.Arbitrary<string> {
  const isId = (text: string): boolean => /^[\da-f-]{36}$/.test(text);
  const fits = (text: string): boolean =>
    typeof pattern === 'string' && format !== 'uuid'
      ? new RegExp(pattern, 'u').test(text) && !isId(text)
      : format !== 'uuid' || isId(text);
  const right = known.filter(fits);
  const some = right.length === 0 ? [] : [{ arbitrary: fc.constantFrom(...right), weight: 10 }];
  return fc.oneof(...some, { arbitrary: fc.uuid(), weight: 2 }, { arbitrary: oddText, weight: 1 });
}

/** Fields that need not be there, at once: with all of them, next to nothing goes together. */
const MOST_OPTIONAL = 4;

function objectOf(schema: Json, below: (child: unknown) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const properties = (schema.properties ?? {}) as Record<string, Json>;
  const { additionalProperties: more } = schema;
  const required = (schema.required ?? []) as string[];
  const optional = Object.keys(properties).filter((name) => !required.includes(name));
  const known = fc
    .subarray(optional, { maxLength: Math.min(MOST_OPTIONAL, optional.length) })
    .chain((chosen) =>
      fc.record(
        Object.fromEntries([...required, ...chosen].map((name) => [name, below(properties[name] ?? {})])),
      ),
    );
  if (more === undefined || more === false) {
    const unknown = fc.tuple(known, fc.object()).map(([a, b]) => ({ ...a, ...b }));
    return fc.oneof({ arbitrary: known, weight: 15 }, { arbitrary: unknown, weight: 1 });
  }
  const keys = fc.oneof(fc.stringMatching(/^[a-z_]{1,8}$/), oddText);
  return fc.tuple(known, fc.dictionary(keys, below(more), { maxKeys: 3 })).map(([a, b]) => ({ ...b, ...a }));
}
