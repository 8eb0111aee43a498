import type { StoreNames } from '../aliases.ts';

/** How collections are built anew. */
export interface Rebuild {
  /** A uuid: each run with it goes on with what was filled under it. */
  id: string;
  /** False: only names that nothing serves yet. */
  replace: boolean;
  /** What served before stays, under another name. */
  keepReplaced: boolean;
}

/**
 * A collection that is built anew: what is filled, and the name that it is to serve. Everything that has to outlive a
 * process is in the store's names, so that any run goes on where another one died:
 *
 * - `{name}__rebuild_{id}` is the collection that is filled;
 * - `{fill}__from`, an alias, names what served when the filling began, for as long as that is not replaced and removed;
 * - `{fill}__checked`, an alias, says that the fill was found complete and that a plain collection makes way for it;
 * - `{name}__kept_{id}`, an alias or a copy, is what served before, where it is kept.
 */
export interface RebuildTarget {
  /** What searches, and jobs, call it. */
  name: string;
  /** The collection that is filled. */
  fill: string;
  from: string;
  checked: string;
  kept: string;
}

const FILL = /^(?<name>.+)__rebuild_(?<id>[\da-f]{32})$/s;
const MARK = /__rebuild_[\da-f]{32}__(from|checked)$/;

/** Qdrant's names have 255 characters. */
export const MAX_REBUILT_NAME = 200;

/** The same for each run that goes on with the rebuild of this id, a uuid. */
export function rebuildTarget(name: string, id: string): RebuildTarget {
  const hex = id.replaceAll('-', '').toLowerCase();
  const fill = `${name}__rebuild_${hex}`;
  return {
    name,
    fill,
    from: `${fill}__from`,
    checked: `${fill}__checked`,
    kept: `${name}__kept_${hex}`,
  };
}

/** The rebuild that a collection was filled by; undefined where its name is not that of one. */
export function parseFill(collection: string): { name: string; id: string } | undefined {
  const { name, id } = FILL.exec(collection)?.groups ?? {};
  if (name === undefined || id === undefined) return undefined;
  return { name, id: id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') };
}

/** Is this alias a rebuild's own note, which nobody searches by? */
export function isMark(alias: string): boolean {
  return MARK.test(alias);
}

/** The collection that a name stands for: an alias' or its own; null where there is none. */
export function servingOf({ collections, aliases }: StoreNames, name: string): string | null {
  return aliases.get(name) ?? (collections.has(name) ? name : null);
}

/** What served when the filling began, as far as it is there. */
export function replacedBy({ aliases }: StoreNames, { from }: RebuildTarget): string | null {
  return aliases.get(from) ?? null;
}

/** Names that searches may go by: all aliases of a collection but a rebuild's notes. */
export function servedAs({ aliases }: StoreNames, collection: string): string[] {
  return [...aliases].flatMap(([alias, of]) => (of === collection && !isMark(alias) ? [alias] : []));
}

/** Names that keep a collection from being removed: what no rebuild has filled may be searched by its own. */
export function holdersOf(there: StoreNames, collection: string): string[] {
  return [...servedAs(there, collection), ...(parseFill(collection) === undefined ? [collection] : [])];
}
