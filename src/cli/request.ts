import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';

import type { RequestKind } from '../api/requests/request-kind.ts';
import { InputError, messageOf } from '../base/errors.ts';
import { looseJson, type Field } from './fields.ts';
import { put } from './parse.ts';
import { UsageError } from './usage-error.ts';

interface RequestOptions {
  request: string | undefined;
  set: readonly string[];
}

/**
 * The request that was typed: the file's, then options, then what was set.
 * @throws UsageError; InputError in the words of the options.
 */
export async function readRequest<R>(
  kind: RequestKind<R>,
  { options, body, fields }: { options: RequestOptions; body: object; fields: readonly Field[] },
): Promise<R> {
  const from = options.request === undefined ? {} : await readJson(options.request);
  const merged = options.set.reduce(setField, merge(from, body));
  return inOptionWords(fields, () => kind.parse(merged));
}

/** What is wrong with a field is told by the option's name. */
export async function inOptionWords<T>(fields: readonly Field[], work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof InputError ? translated(fields, error) : error;
  }
}

async function readJson(file: string): Promise<Record<string, unknown>> {
  const what = file === '-' ? 'standard input' : file;
  const text = await (file === '-' ? readAll(process.stdin) : readFile(file, 'utf8')).catch(
    (error: unknown) => {
      throw new UsageError(`--request: ${what} cannot be read: ${messageOf(error)}`);
    },
  );
  try {
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return { ...value };
  } catch {
    // The parser's own message quotes the text.
  }
  throw new UsageError(`--request: expected a JSON object, found none in ${what}`);
}

function setField(request: Record<string, unknown>, text: string): Record<string, unknown> {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`--set: expected FIELD=VALUE, found ${JSON.stringify(text)}`);
  return put(request, text.slice(0, at).split('.'), looseJson(text.slice(at + 1)));
}

/** Objects into objects; whatever else, and every list, replaces what was there. */
function merge(below: Record<string, unknown>, above: object): Record<string, unknown> {
  return Object.entries(above).reduce<Record<string, unknown>>((all, [key, value]) => {
    const old = Object.hasOwn(all, key) ? all[key] : undefined;
    const isBoth = isObject(old) && isObject(value);
    return { ...all, [key]: isBoth ? merge(old, value) : (value as unknown) };
  }, below);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function translated(fields: readonly Field[], error: InputError): InputError {
  const named = new Map(fields.map(({ name, path }) => [path.join('.'), `--${name}`]));
  const issues = error.issues.map(({ key, message }) => {
    const [field = '', list = ''] = /^([^[]*)(.*)$/s.exec(key)?.slice(1) ?? [];
    const option = named.get(field);
    return { key: option === undefined ? key : `${option}${list}`, message };
  });
  return new InputError(issues, { cause: error });
}
