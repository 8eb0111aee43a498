import { InputError, type InputIssue } from '../../base/errors.ts';
import type { Lookup } from './lookup.ts';

/** A collection as a job is to fill it. */
export interface Target {
  /** What the request, and whoever searches, calls it. */
  name: string;
  /** What the job fills: the same, or what takes its place when it is complete. */
  fill: string;
}

export type CollectionMode = 'create' | 'append' | 'replace';

export interface TargetOptions {
  mode: CollectionMode;
  /** The model's vectors have this length. */
  size: number;
  lookup: Pick<Lookup, 'collection'>;
  /** Names what is filled in the place of a collection; undefined: `replace` is not to be had. */
  rebuildAs: ((name: string) => string) | undefined;
}

/**
 * The collections of a request, by its field, as the mode has them.
 * @throws InputError for `create` where one exists, `append` where one is missing or of another size.
 */
export async function chooseTargets<F extends string>(
  names: Readonly<Partial<Record<F, string>>>,
  options: TargetOptions,
): Promise<Partial<Record<F, Target>>> {
  const { mode, rebuildAs } = options;
  const named = Object.entries<string | undefined>(names).flatMap(([field, name]) =>
    name === undefined ? [] : [{ field, name }],
  );
  if (mode === 'replace' && rebuildAs === undefined) {
    const message = 'expected create or append: whatever serves this request cannot replace collections';
    throw new InputError([{ key: 'collection_mode', message }]);
  }
  const issues = await Promise.all(named.map((target) => issueOf(target, options)));
  const found = issues.filter((issue) => issue !== undefined);
  if (found.length > 0) throw new InputError(found);
  const fillOf = (name: string): string => (mode === 'replace' ? (rebuildAs?.(name) ?? name) : name);
  const targets = named.map(({ field, name }) => [field, { name, fill: fillOf(name) }]);
  return Object.fromEntries(targets) as Partial<Record<F, Target>>;
}

async function issueOf(
  { field, name }: { field: string; name: string },
  { mode, size, lookup }: TargetOptions,
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
