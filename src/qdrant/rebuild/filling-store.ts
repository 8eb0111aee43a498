import type { VectorStore } from '../store.ts';

/**
 * The store in which these names stand for what is filled in their place, so that whoever fills it, counts it or asks
 * it knows the names that searches use alone.
 */
export function fillingStore(store: VectorStore, fills: ReadonlyMap<string, string>): VectorStore {
  const fill = (name: string): string => fills.get(name) ?? name;
  return {
    ...store,
    inspect: (name, ...rest) => store.inspect(fill(name), ...rest),
    ensure: (name, ...rest) => store.ensure(fill(name), ...rest),
    upsert: (name, ...rest) => store.upsert(fill(name), ...rest),
    payloads: (name, ...rest) => store.payloads(fill(name), ...rest),
    point: (name, ...rest) => store.point(fill(name), ...rest),
    any: (name, ...rest) => store.any(fill(name), ...rest),
    count: (name, ...rest) => store.count(fill(name), ...rest),
    countExactly: (name, ...rest) => store.countExactly(fill(name), ...rest),
    scroll: (name, ...rest) => store.scroll(fill(name), ...rest),
    search: (name, ...rest) => store.search(fill(name), ...rest),
  };
}
