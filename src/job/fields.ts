import { z } from 'zod';

/** Every field words what it expects itself, so that a message can say it whatever the fault was. */

export const yesOrNo = (): z.ZodBoolean => z.boolean({ error: 'expected true or false' });

export function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `expected one of ${values.join(', ')}` });
}

export function wholeNumber(min: number, max?: number) {
  const error = `expected a whole number ${rangeText(min, max)}, without quotes`;
  const number = z.int({ error }).min(min, { error });
  return max === undefined ? number : number.max(max, { error });
}

/** Both ends included. */
export function realNumber(min: number, max?: number) {
  const error = `expected a number ${rangeText(min, max)}, without quotes`;
  const number = z.number({ error }).min(min, { error });
  return max === undefined ? number : number.max(max, { error });
}

function rangeText(min: number, max: number | undefined): string {
  return max === undefined ? `from ${String(min)}` : `from ${String(min)} to ${String(max)}`;
}

/** A UUID of any version, in lower case. */
export const uuid = () => z.guid({ error: 'expected a uuid' }).toLowerCase();

/** A list of UUIDs, each once. */
export const uuids = () =>
  z.array(uuid(), { error: 'expected a list of uuids' }).transform((ids) => [...new Set(ids)]);

export const text = (what: string) =>
  z.string({ error: `expected ${what}` }).min(1, { error: `expected ${what}` });

export const address = () => z.url({ protocol: /^https?$/, error: 'expected an http(s) address' });

/** A key that can stand in a header: a stray line end would make the HTTP client quote it in its error. */
export const secretKey = (pattern = /^[\x21-\x7e]+$/) => {
  const error = 'expected a key, without blanks';
  return z.string({ error }).trim().regex(pattern, { error });
};

/** An address or a storage path, as long as it is there: one that leads nowhere fails its own image, not the job. */
export const imageUrl = () => text('an http(s) address, a data: url, or the path of a stored file');
