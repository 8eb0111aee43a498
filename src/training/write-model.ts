import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';

import { writeModel } from '../onnx/codec.ts';
import { moveWeightsOut } from '../onnx/external.ts';
import type { OnnxModel } from '../onnx/types.ts';

/** Protobuf ends at 2 GiB; the rest is room for the graph itself. */
const MAX_INSIDE_BYTES = 1.9 * 2 ** 30;

/**
 * Writes a model whose weights are in memory: as one file, or with its weights in `{path}.data` where it is asked for
 * or they would not fit. Says which files there are, the graph's first.
 */
export async function writeModelFiles(
  path: string,
  model: OnnxModel,
  { external = false }: { external?: boolean } = {},
): Promise<string[]> {
  const bytes = model.graph.initializers.reduce((sum, { rawData }) => sum + (rawData?.byteLength ?? 0), 0);
  if (!external && bytes <= MAX_INSIDE_BYTES) {
    await writeFile(path, writeModel(model));
    return [path];
  }
  const beside = `${path}.data`;
  const { model: graph, data } = moveWeightsOut(model, basename(beside));
  await writeFile(beside, data);
  await writeFile(path, writeModel(graph));
  return [path, beside];
}
