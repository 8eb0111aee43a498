import { InputError, type InputIssue } from '../../base/errors.ts';
import type { Lookup } from './lookup.ts';

export type CollectionMode = 'create' | 'append' | 'replace';

export interface CollectionCheckOptions {
  mode: CollectionMode;
  /** The model's vectors have this length. */
  size: number;
  lookup: Pick<Lookup, 'collection'>;
}

/**
 * Do the collections of a request, by its fields, fit the mode?
 * @throws InputError for `create` where one exists, `append` where one is missing or of another size.
 */
export async function checkCollections(
  names: Readonly<Partial<Record<string, string>>>,
  options: CollectionCheckOptions,
): Promise<void> {
  const named = Object.entries(names).flatMap(([field, name]) =>
    name === undefined ? [] : [{ field, name }],
  );
  const issues = await Promise.all(named.map((target) => issueOf(target, options)));
  const found = issues.filter((issue) => issue !== undefined);
  if (found.length > 0) throw new InputError(found);
}

async function issueOf(
  { field, name }: { field: string; name: string },
  { mode, size, lookup }: CollectionCheckOptions,
): Promise<InputIssue | undefined> {
  if (mode === 'replace') return undefined;
  const found = await lookup.collection(name);
  const issue = (message: string): InputIssue => ({ key: field, message: `"${name}" ${message}` });
  if (mode === 'create') {
    if (found === null) return undefined;
    return issue('exists already; expected another name, or collection_mode append or replace');
  }
  if (found === null) return issue('does not exist; append expects a collection that does, create makes one');
  if (found.size === size) return undefined;
  return issue(`holds vectors of ${found.size} numbers; expected ${size}, the length of the model's`);
}
