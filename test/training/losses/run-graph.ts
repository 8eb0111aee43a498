import { InferenceSession, Tensor } from 'onnxruntime-node';

import { writeModel } from '../../../src/onnx/codec.ts';
import { gradients } from '../../../src/training/backward.ts';
import { detaching, type Detached } from '../../../src/training/detach.ts';
import type { Dims } from '../../../src/training/dims.ts';
import { shapedGraph, type ShapedGraph } from '../../../src/training/shaped-graph.ts';

export interface Given {
  dims: Dims;
  values: readonly number[];
}

/** A scalar in float64, and its gradients with respect to some of what it is given. */
export async function runScalar(
  given: Readonly<Record<string, Given>>,
  wrt: readonly string[],
  build: (g: ShapedGraph, detach: Detached) => string,
): Promise<{ value: number; gradients: Record<string, number[]> }> {
  const g = shapedGraph('the test');
  const detach = detaching(g);
  for (const [name, { dims }] of Object.entries(given)) g.input(name, 'float64', dims);
  const scalar = build(g, detach);
  const found = gradients(g, scalar, wrt);
  detach.attach();
  g.output(scalar, 'value');
  for (const name of wrt) g.output(found.get(name) ?? '', `d_${name}`);
  const session = await InferenceSession.create(writeModel(g.toModel()), { intraOpNumThreads: 1 });
  try {
    const feeds = Object.entries(given).map(
      ([name, { dims, values }]) => [name, new Tensor('float64', Float64Array.from(values), dims)] as const,
    );
    const answer = await session.run(Object.fromEntries(feeds));
    const numbers = (name: string): number[] => Array.from(answer[name]?.data as Float64Array);
    return {
      value: numbers('value')[0] ?? NaN,
      gradients: Object.fromEntries(wrt.map((name) => [name, numbers(`d_${name}`)])),
    };
  } finally {
    await session.release();
  }
}

/** Derivatives of a function by each of these numbers, by central differences. */
export function differences(f: (x: number[]) => number, at: readonly number[], step = 1e-5): number[] {
  return at.map((_, i) => {
    const moved = (by: number): number => f(at.map((x, k) => (k === i ? x + by : x)));
    return (moved(step) - moved(-step)) / (2 * step);
  });
}

export function expectClose(found: readonly number[], expected: readonly number[], tolerance: number): void {
  const scale = Math.max(1e-3, ...expected.map(Math.abs));
  const worst = Math.max(...expected.map((x, i) => Math.abs(x - (found[i] ?? NaN)) / scale));
  if (found.length !== expected.length || !(worst <= tolerance)) {
    throw new Error(`off by ${String(worst)}: ${found.join(' ')} instead of ${expected.join(' ')}`);
  }
}
