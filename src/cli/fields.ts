import type { JsonSchema } from '../base/json-schema.ts';
import { UsageError } from './usage-error.ts';

/** A field of a request as an option: how its text becomes the field's value. */
export interface Field {
  /** The option's name: `product-ids`, `config.learning-rate`. */
  name: string;
  /** Where it goes in the request. */
  path: readonly string[];
  /** `map`: `column=value`, again and again; `json`: any value. */
  type: 'flag' | 'text' | 'number' | 'texts' | 'words' | 'numbers' | 'map' | 'json';
  values: readonly string[];
  about: string;
  fallback: unknown;
}

/** Every field of these objects, at every depth, each once; what a later schema says of the same one is left. */
export function fieldsOf(...schemas: readonly JsonSchema[]): Field[] {
  const found = new Map<string, Field>();
  for (const field of schemas.flatMap((schema) => fieldsIn(schema, []))) {
    const known = found.get(field.name);
    if (known === undefined) found.set(field.name, field);
    else if (JSON.stringify(known.fallback) !== JSON.stringify(field.fallback))
      found.set(field.name, { ...known, fallback: undefined });
  }
  return [...found.values()];
}

function fieldsIn({ properties }: JsonSchema, above: readonly string[]): Field[] {
  return Object.entries(asObject(properties)).flatMap(([key, value]) => {
    const { description, default: fallback, ...outer } = asObject(value);
    const schema = withoutNull(outer);
    const path = [...above, key];
    if (schema.properties !== undefined) return fieldsIn(schema, path);
    const items = asObject(schema.items);
    return {
      name: path.join('.').replaceAll('_', '-'),
      path,
      type: typeOf(schema, items),
      values: [schema.enum, items.enum].flatMap((values) =>
        Array.isArray(values) ? values.map(String) : [],
      ),
      about: typeof description === 'string' ? description : '',
      fallback,
    };
  });
}

function typeOf(schema: JsonSchema, items: JsonSchema): Field['type'] {
  switch (schema.type) {
    case 'boolean':
      return 'flag';
    case 'integer':
    case 'number':
      return 'number';
    case 'string':
      return 'text';
    case 'array':
      if (items.type === 'integer' || items.type === 'number') return 'numbers';
      if (items.type !== 'string') return 'json';
      return items.enum === undefined && items.format === undefined ? 'texts' : 'words';
    case 'object':
      return 'map';
    default:
      return 'json';
  }
}

/** Behind "or null", which every field that need not be there has. */
function withoutNull({ anyOf, ...schema }: JsonSchema): JsonSchema {
  return Array.isArray(anyOf) ? { ...schema, ...asObject(anyOf[0]) } : schema;
}

function asObject(value: unknown): JsonSchema {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? { ...value } : {};
}

/**
 * The value that these texts, one for each time that the option was given, mean for the field.
 * @throws UsageError
 */
export function valueOf({ name, type }: Field, texts: readonly string[]): unknown {
  const last = texts.at(-1) ?? '';
  // Words and numbers hold no commas, so that several may stand in one text.
  const parts = texts.flatMap((text) => (text === '' ? [] : text.split(',')));
  switch (type) {
    case 'flag':
      return last === 'true';
    case 'text':
      return last;
    case 'number':
      return numberOf(name, last);
    case 'texts':
      return texts;
    case 'words':
      return parts.map((part) => part.trim());
    case 'numbers':
      return parts.map((part) => numberOf(name, part));
    case 'map':
      return Object.fromEntries(texts.flatMap((text) => entriesOf(name, text)));
    case 'json':
      return looseJson(last);
  }
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number)) return number;
  throw new UsageError(`--${name}: expected a number, found ${JSON.stringify(text)}`);
}

/** `column=value`, or an object. */
function entriesOf(name: string, text: string): [string, unknown][] {
  if (text.startsWith('{')) return Object.entries(asObject(looseJson(text)));
  const at = text.indexOf('=');
  if (at > 0) return [[text.slice(0, at), looseJson(text.slice(at + 1))]];
  throw new UsageError(`--${name}: expected column=value, found ${JSON.stringify(text)}`);
}

/** JSON, or else the text itself: a number in quotes is a text. */
export function looseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
