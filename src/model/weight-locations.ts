import { readFile } from 'node:fs/promises';

import { readModel } from '../onnx/codec.ts';
import { externalLocations } from '../onnx/external.ts';

/**
 * Where a graph's file says that its weights lie: paths in its own folder, each once; none where it holds them itself.
 * @throws ModelError `model_unreadable` for what is no graph, and for a path that leads out of its folder.
 */
export async function weightLocations(path: string): Promise<string[]> {
  return externalLocations(readModel(await readFile(path)));
}
