import { z } from 'zod';

import { pathText } from './parse-input.ts';

export type JsonSchema = Record<string, unknown>;

/** Unknown keys that are named at most: they end in one log line. */
const MAX_UNKNOWN_KEYS = 100;

/**
 * The JSON Schema (draft 2020-12) of what a zod schema accepts as input, with null allowed for every optional key,
 * as `parseInput` takes null for absent.
 */
export function inputJsonSchema(schema: z.ZodType, about: { $id: string; title: string }): JsonSchema {
  const { $schema, ...body } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' }) as JsonSchema;
  return { $schema, ...about, ...(allowNulls(body) as JsonSchema) };
}

/** The same schema, whose objects take no keys but those that it names. */
export function closedObjects(schema: JsonSchema): JsonSchema {
  return close(schema) as JsonSchema;
}

function close(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(close);
  if (!isObject(node)) return node;
  const closed = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, close(value)]));
  if (!isObject(node.properties) || node.additionalProperties !== undefined) return closed;
  return { ...closed, additionalProperties: false };
}

/**
 * Paths of the keys that the schema (made by `inputJsonSchema`) does not name, at every depth and each once; keys inside a list's items are
 * written as `images[].key`. A null is absent, and no key. Objects that take any key (a map of values) have no unknown ones.
 */
export function unknownKeys(value: unknown, schema: JsonSchema): string[] {
  const found = new Set<string>();
  collect(value, schema, '', found);
  return [...found];
}

function collect(value: unknown, nullableSchema: JsonSchema, path: string, found: Set<string>): void {
  if (found.size >= MAX_UNKNOWN_KEYS || value === null || typeof value !== 'object') return;
  const schema = withoutNull(nullableSchema);
  if (Array.isArray(value)) {
    if (!isObject(schema.items)) return;
    for (const item of value) collect(item, schema.items, `${path}[]`, found);
    return;
  }
  if (!isObject(schema.properties)) return;
  for (const [key, item] of Object.entries(value)) {
    if (item === null || item === undefined) continue;
    if (found.size >= MAX_UNKNOWN_KEYS) return;
    const known = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    const name = pathText([key]);
    const at = path === '' ? name : name.startsWith('[') ? path + name : `${path}.${name}`;
    if (isObject(known)) collect(item, known, at, found);
    else found.add(at);
  }
}

function allowNulls(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(allowNulls);
  if (!isObject(node)) return node;
  const out: JsonSchema = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === 'properties' && isObject(value)) out[key] = nullableProperties(value, node.required);
    else if (key === 'additionalProperties' && isObject(value) && Object.keys(value).length > 0) {
      out[key] = nullable(value);
    } else out[key] = allowNulls(value);
  }
  return out;
}

function nullableProperties(properties: JsonSchema, required: unknown): JsonSchema {
  const needed = new Set(Array.isArray(required) ? required : []);
  return Object.fromEntries(
    Object.entries(properties).map(([key, schema]) => [
      key,
      needed.has(key) ? allowNulls(schema) : nullable(schema),
    ]),
  );
}

function nullable(schema: unknown): unknown {
  if (!isObject(schema)) return schema;
  const { title, description, default: fallback, ...rest } = schema;
  return {
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    anyOf: [allowNulls(rest), { type: 'null' }],
  };
}

/** What `nullable` wrapped, or the schema itself. */
function withoutNull(schema: JsonSchema): JsonSchema {
  const first: unknown = Array.isArray(schema.anyOf) ? schema.anyOf[0] : undefined;
  return isObject(first) ? first : schema;
}

function isObject(value: unknown): value is JsonSchema {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
