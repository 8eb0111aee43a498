import { types } from 'node:util';

import { HandlerError, messageOf } from '../base/errors.ts';
import { pathText } from '../base/parse-input.ts';

/** Deeper than any output is, and shallower than what JSON.stringify can walk. */
const MAX_DEPTH = 500;

/**
 * The output as one JSON document; undefined becomes null, and undefined keys are left out.
 * @throws HandlerError `output_not_json` that names the path of what JSON cannot hold: a BigInt, a number that is not
 * finite, binary data, a Map, a function, a value inside itself.
 */
export function toJson(output: unknown): string {
  const state: Walk = { path: [], open: new Set() };
  try {
    check(output, state);
    // In a list, what a toJSON leaves out is null.
    return JSON.stringify([output ?? null]).slice(1, -1);
  } catch (error) {
    if (error instanceof HandlerError) throw error;
    // A getter or a toJSON of the output threw, or the text is longer than a string can be.
    throw fault(state, `cannot be written as JSON: ${messageOf(error)}`, error);
  }
}

interface Walk {
  path: PropertyKey[];
  /** Objects between the top and here: meeting one again is a cycle. */
  open: Set<object>;
}

function check(value: unknown, walk: Walk): void {
  const unfit = unfitness(value);
  if (unfit !== undefined) throw fault(walk, `is ${unfit}, which JSON cannot hold`);
  if (value === null || typeof value !== 'object') return;
  if (walk.open.has(value)) throw fault(walk, 'holds itself, which JSON cannot hold');
  if (walk.path.length >= MAX_DEPTH) throw fault(walk, `lies deeper than ${String(MAX_DEPTH)} levels`);
  walk.open.add(value);
  if ('toJSON' in value && typeof value.toJSON === 'function') check((value.toJSON as () => unknown)(), walk);
  else if (Array.isArray(value)) for (let i = 0; i < value.length; i++) descend(value[i], i, walk);
  else for (const [key, item] of Object.entries(value)) descend(item, key, walk);
  walk.open.delete(value);
}

function descend(value: unknown, key: PropertyKey, walk: Walk): void {
  walk.path.push(key);
  check(value, walk);
  walk.path.pop();
}

function unfitness(value: unknown): string | undefined {
  switch (typeof value) {
    case 'bigint':
      return 'a BigInt';
    case 'function':
    case 'symbol':
      return `a ${typeof value}`;
    case 'number':
      return Number.isFinite(value) ? undefined : `the number ${String(value)}`;
    case 'object':
      if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return 'binary data';
      return types.isMap(value) || types.isSet(value) || types.isPromise(value)
        ? `a ${Object.prototype.toString.call(value).slice(8, -1)}`
        : undefined;
    default:
      return undefined;
  }
}

function fault(walk: Walk, what: string, cause?: unknown): HandlerError {
  const path = ['output', ...walk.path.slice(0, 20)];
  const more = walk.path.length > 20 ? '...' : '';
  return new HandlerError(
    'output_not_json',
    `${pathText(path)}${more} ${what}`,
    cause === undefined ? {} : { cause },
  );
}
