import type { ShapedGraph } from './shaped-graph.ts';

/** Values through which no gradient flows. */
export interface Detached {
  /** A value that equals this one; for `gradients` it comes from nowhere. */
  readonly detached: (value: string) => string;
  /** Once the gradients are written: lets those values be what they equal. */
  readonly attach: () => void;
}

export function detaching(g: ShapedGraph): Detached {
  const pairs = new Map<string, string>();
  return {
    detached: (value) => {
      const stand = pairs.get(value) ?? g.input(`detached/${value}`, g.type(value), g.dims(value));
      pairs.set(value, stand);
      return stand;
    },
    attach: () => {
      for (const [value, stand] of pairs) {
        g.free(stand);
        g.node('Identity', [value], { dims: g.dims(value), name: stand });
      }
      pairs.clear();
    },
  };
}
