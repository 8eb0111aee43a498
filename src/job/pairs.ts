import type { InputIssue } from '../base/errors.ts';

/** An address without its key, or a key without its address: the half that is missing. */
export function pairIssue<K extends string>(
  input: Readonly<Partial<Record<K, unknown>>>,
  [url, key]: readonly [K, K],
): InputIssue[] {
  if ((input[url] === undefined) === (input[key] === undefined)) return [];
  const [given, missing] = input[url] === undefined ? [key, url] : [url, key];
  return [{ key: missing, message: `is missing; ${given} is given, and the two are only taken together` }];
}
