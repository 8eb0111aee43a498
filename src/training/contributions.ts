import { lengthAt, range } from './dims.ts';
import type { Gradient, Part } from './rule.ts';
import type { ShapedGraph } from './shaped-graph.ts';

export interface Contributions {
  /** Notes what one reader of a value contributes to its gradient. */
  add(value: string, gradient: Gradient): void;
  /** The sum of what was noted; undefined where nothing was. */
  total(value: string): string | undefined;
}

/** What each reader of a value contributes to its gradient, added when the sum is asked for. */
export function contributions(graph: ShapedGraph): Contributions {
  const noted = new Map<string, Gradient[]>();
  const total = (value: string): string | undefined => {
    const gradients = noted.get(value);
    if (gradients === undefined) return undefined;
    const parts = gradients.filter((gradient) => typeof gradient !== 'string');
    const joined = joinedParts(graph, parts, graph.dims(value));
    const whole = [...gradients.filter((gradient) => typeof gradient === 'string'), ...joined];
    const sum = whole.reduce((a, b) => graph.add(a, b));
    noted.set(value, [sum]);
    return sum;
  };
  return {
    add: (value, gradient) => {
      noted.set(value, [...(noted.get(value) ?? []), gradient]);
    },
    total,
  };
}

/**
 * Parts that lie side by side and fill an axis, as those of queries, keys and values do, are joined; others are padded
 * with zeros, each for itself.
 */
function joinedParts(graph: ShapedGraph, parts: readonly Part[], dims: readonly number[]): string[] {
  const [first] = parts;
  if (first === undefined) return [];
  const ordered = parts.toSorted((a, b) => a.start - b.start);
  const ends = ordered.map(({ value, start, axis }) => start + lengthAt(graph.dims(value), axis));
  const isFull =
    parts.every(({ axis }) => axis === first.axis) &&
    ordered.every(({ start }, i) => start === (ends[i - 1] ?? 0)) &&
    ends.at(-1) === dims[first.axis];
  if (isFull) {
    const values = ordered.map(({ value }) => value);
    return [graph.concat(values, first.axis)];
  }
  return parts.map((part) => padded(graph, part, dims));
}

function padded(graph: ShapedGraph, { value, axis, start }: Part, dims: readonly number[]): string {
  const rest = lengthAt(dims, axis) - start - lengthAt(graph.dims(value), axis);
  const along = (by: number): number[] => range(dims.length).map((i) => (i === axis ? by : 0));
  return graph.pad(value, along(start), along(rest));
}
