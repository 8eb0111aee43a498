import { UsageError } from './usage-error.ts';

export const RUN_ID = { about: 'The run: the id that was printed when it was submitted.' } as const;

/** @throws UsageError for what is no id: the database would say so in other words. */
export function idOf(what: string, text: string): string {
  if (/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)) return text.toLowerCase();
  throw new UsageError(`${what}: expected a uuid, found ${JSON.stringify(text)}`);
}
