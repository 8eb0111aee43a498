import type { z } from 'zod';

import { InputError, type InputIssue } from './errors.ts';
import { isSecretKey, redact } from './redact.ts';

/** Deeper than any job is; keeps hostile input from exhausting the stack. */
const MAX_DEPTH = 64;
/** Faults that one error names; the rest are counted. */
const MAX_ISSUES = 20;
/** A value is shown where it helps to see a typing error, and never longer than this. */
const MAX_SHOWN_CHARS = 80;

type Path = readonly PropertyKey[];

/**
 * Parses what arrived from outside, with its nulls taken as absent at every depth.
 * Messages name the key's whole path, what was expected (the schema's own text) and the shape that was found.
 * @param name how the whole value is called in a message, where it is not even an object.
 * @throws InputError, and nothing else, whatever the value.
 */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown, name = 'input'): z.infer<S> {
  const present = dropNulls(value, name);
  const result = schema.safeParse(present);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, MAX_ISSUES).map((issue) => toInputIssue(issue, present, name));
  const more = result.error.issues.length - issues.length;
  if (more > 0) issues.push({ key: name, message: `${String(more)} more faults of this kind` });
  throw new InputError(issues);
}

/**
 * A copy without the keys whose value is null or undefined, at every depth. Items of lists stay, null or not: they
 * have no key, and their place may have a meaning.
 * @throws InputError for what JSON cannot hold: a value inside itself, or deeper than 64 levels.
 */
function dropNulls(value: unknown, name: string): unknown {
  return copy(value, [], name);
}

function copy(value: unknown, path: Path, name: string): unknown {
  if (!Array.isArray(value) && !isPlainObject(value)) return value;
  if (path.length >= MAX_DEPTH) {
    const key = pathText(path.slice(0, 4)) || name;
    throw new InputError([{ key, message: `expected at most ${String(MAX_DEPTH)} levels, found more` }]);
  }
  if (Array.isArray(value)) return value.map((item, index) => copy(item, [...path, index], name));
  // fromEntries defines properties, so that a key named __proto__ stays a key.
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null && item !== undefined)
      .map(([key, item]) => [key, copy(item, [...path, key], name)]),
  );
}

/** The path as people write it: `source_config.filters.product_ids[3]`. */
export function pathText(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${String(part)}]`;
    else if (/^[\w-]{1,80}$/.test(String(part))) text += `${text === '' ? '' : '.'}${String(part)}`;
    else text += `[${JSON.stringify(cut(String(part)))}]`;
  }
  return redact(text);
}

/** Type and size of a value, and never the value: `a string of 12 characters`, `a list of 3`. */
export function shapeOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (value === '') return 'an empty string';
  if (typeof value === 'string') return `a string of ${counted(value.length, 'character')}`;
  if (Array.isArray(value))
    return value.length === 0 ? 'an empty list' : `a list of ${counted(value.length, 'item')}`;
  if (typeof value === 'object') return `an object with ${counted(Object.keys(value).length, 'key')}`;
  return `a ${typeof value}`;
}

function toInputIssue(issue: z.core.$ZodIssue, value: unknown, name: string): InputIssue {
  const key = pathText(issue.path) || name;
  // A cross-check words its own message; the others say what was expected.
  if (issue.code === 'custom') return { key, message: redact(issue.message) };
  const found = valueAt(value, issue.path);
  if (found === undefined) return { key, message: redact(`is missing; ${issue.message}`) };
  return {
    key,
    message: redact(`${issue.message}, found ${isShowable(issue, found) ? shown(found) : shapeOf(found)}`),
  };
}

/** Words of a fixed list and numbers out of range: the value tells the fault, and is no secret. */
function isShowable(issue: z.core.$ZodIssue, found: unknown): boolean {
  if (issue.path.some((part) => typeof part === 'string' && isSecretKey(part))) return false;
  if (typeof found === 'number' || typeof found === 'boolean') return true;
  return typeof found === 'string' && issue.code === 'invalid_value';
}

function shown(found: unknown): string {
  return typeof found === 'string' ? JSON.stringify(cut(found)) : String(found);
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const part of path) {
    if (at === null || typeof at !== 'object' || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[part];
  }
  return at;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (value === null || typeof value !== 'object') return false;
  // By its tag and not by its prototype: the value may come from another realm.
  return Object.prototype.toString.call(value) === '[object Object]';
}

function cut(text: string): string {
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}...` : text;
}

function counted(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? '' : 's'}`;
}
