import type { z } from 'zod';

import { InputError, type InputIssue } from '../../base/errors.ts';
import { closedObjects, inputJsonSchema, unknownKeys, type JsonSchema } from '../../base/json-schema.ts';
import { parseInput, pathText } from '../../base/parse-input.ts';

/** One kind of request: what it may say, as a schema for others, and how it is read. */
export interface RequestKind<R> {
  readonly name: string;
  /** Draft 2020-12. Every key by itself; what holds between them is checked by `parse` alone. */
  readonly jsonSchema: JsonSchema;
  /**
   * The request, checked, with its defaults. Null is absent at every depth. A key that it does not know is refused:
   * nothing that was asked for is left out in silence.
   * @throws InputError that names every faulty key and what was expected.
   */
  parse(value: unknown): R;
}

export interface RequestKindOptions<S extends z.ZodType> {
  /** As in a document's list of schemas: `MatchingRequest`. */
  name: string;
  schema: S;
  /** Faults between keys that are right by themselves. */
  check?: (request: z.infer<S>) => InputIssue[];
  /** For what others send, who may add to it: keys that it does not know are let through, and dropped. */
  otherKeys?: boolean;
}

export function requestKind<S extends z.ZodType>(options: RequestKindOptions<S>): RequestKind<z.infer<S>> {
  const { name, schema, check, otherKeys = false } = options;
  const open = inputJsonSchema(schema, { $id: `urn:gpu-handlers:${name}`, title: name });
  const jsonSchema = otherKeys ? open : closedObjects(open);
  return {
    name,
    jsonSchema,
    parse(value) {
      const others = otherKeys ? [] : unknownKeys(value, jsonSchema);
      const unknown = others.map((key): InputIssue => ({ key, message: UNKNOWN }));
      const request = parseWith(schema, value, unknown);
      const issues = [...unknown, ...textIssues(request), ...(check?.(request) ?? [])];
      if (issues.length > 0) throw new InputError(issues);
      return request;
    },
  };
}

const UNKNOWN = 'is no field of this request';
const BAD_TEXT = 'expected text that a database can hold, found a NUL character or half of a surrogate pair';

/** What is wrong with the fields is told together with those that there are not. */
function parseWith<S extends z.ZodType>(
  schema: S,
  value: unknown,
  unknown: readonly InputIssue[],
): z.infer<S> {
  try {
    return parseInput(schema, value, 'request');
  } catch (error) {
    if (error instanceof InputError) throw new InputError([...error.issues, ...unknown]);
    throw error;
  }
}

/** Postgres takes neither in its texts, and says so only when the row is written. */
function textIssues(value: unknown, path: readonly PropertyKey[] = []): InputIssue[] {
  if (typeof value === 'string') {
    if (!value.includes('\0') && value.isWellFormed()) return [];
    return [{ key: pathText(path) || 'request', message: BAD_TEXT }];
  }
  if (value === null || typeof value !== 'object') return [];
  if (Array.isArray(value)) return value.flatMap((item, i) => textIssues(item, [...path, i]));
  return Object.entries(value).flatMap(([key, item]) => textIssues(item, [...path, key]));
}
