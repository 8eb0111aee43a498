import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { randomNumbers } from '../../../src/model/small/random.ts';
import { writeModel } from '../../../src/onnx/codec.ts';
import type { OnnxModel } from '../../../src/onnx/types.ts';
import { sizeOf } from '../../../src/training/dims.ts';
import {
  importGraph,
  type ImportedGraph,
  type ImportOptions,
} from '../../../src/training/import/import-graph.ts';

const BATCH = 2;

/** Imports a model by way of a file, which is gone afterwards. */
export async function imported(
  model: OnnxModel,
  options: Partial<Omit<ImportOptions, 'path'>> = {},
): Promise<ImportedGraph> {
  const folder = await mkdtemp(join(tmpdir(), 'import-test-'));
  try {
    const path = join(folder, 'model.onnx');
    await writeFile(path, writeModel(model));
    return await importGraph({ batchSize: BATCH, ...options, path });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The greatest difference between what the file gives and what the imported graph gives, for the same random input. */
export async function forwardDifference(model: OnnxModel, graph: ImportedGraph): Promise<number> {
  const dims = graph.graph.dims(graph.input);
  const x = new Tensor('float32', Float32Array.from({ length: sizeOf(dims) }, randomNumbers(3)), dims);
  const [expected, found] = await Promise.all(
    [model, graph.graph.toModel()].map(async (candidate) => {
      const session = await InferenceSession.create(writeModel(candidate), { logSeverityLevel: 3 });
      const results = await session.run({ [graph.input]: x });
      await session.release();
      return results[graph.output];
    }),
  );
  if (expected === undefined || String(expected.dims) !== String(found?.dims)) return NaN;
  const values = found?.data as Float32Array;
  return (expected.data as Float32Array).reduce(
    (m, v, i) => Math.max(m, Math.abs(v - (values[i] ?? NaN))),
    0,
  );
}

/** How often each operator is in the graph. */
export function operators({ graph }: ImportedGraph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { opType } of graph.ordered()) counts[opType] = (counts[opType] ?? 0) + 1;
  return counts;
}
