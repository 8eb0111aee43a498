import { randomUUID } from 'node:crypto';
import { access, copyFile, link, lstat, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { ModelError } from '../base/errors.ts';

export interface PlacedGraph extends AsyncDisposable {
  path: string;
}

/** @throws ModelError `model_missing` that names the first file of weights that is not there. */
export async function requireWeights(folder: string, locations: readonly string[]): Promise<void> {
  const paths = locations.map((location) => join(folder, location));
  const there = await Promise.all(
    paths.map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  const absent = paths.find((_, i) => !there[i]);
  if (absent === undefined) return;
  throw new ModelError(
    'model_missing',
    `the model keeps weights in a file beside it, but there is no ${absent}`,
  );
}

/**
 * Puts a rewritten graph where ONNX Runtime finds the weights beside it: under a passing name in the model's folder,
 * or, where that is read-only or holds links (which the runtime refuses), in a temporary folder with hard links or
 * copies of the weights. Disposing of it removes what was written.
 */
export async function placeGraph(
  graph: Uint8Array,
  folder: string,
  locations: readonly string[],
): Promise<PlacedGraph> {
  const files = locations.map((location) => ({ location, path: join(folder, location) }));
  const kinds = await Promise.all(files.map(({ path }) => lstat(path)));
  if (!kinds.some((kind) => kind.isSymbolicLink())) {
    const path = join(folder, `.${randomUUID()}.onnx`);
    try {
      await writeFile(path, graph, { flag: 'wx' });
      return { path, [Symbol.asyncDispose]: () => rm(path, { force: true }) };
    } catch {
      // Read-only: go elsewhere.
    }
  }
  const temporary = await mkdtemp(join(tmpdir(), 'gpu-handlers-model-'));
  const dispose = (): Promise<void> => rm(temporary, { recursive: true, force: true });
  try {
    await Promise.all(files.map(({ location, path }) => linkOrCopy(path, join(temporary, location))));
    const path = join(temporary, 'model.onnx');
    await writeFile(path, graph, { flag: 'wx' });
    return { path, [Symbol.asyncDispose]: dispose };
  } catch (cause) {
    await dispose();
    const message = `could not lay out the model's files in ${temporary}: is there room for the weights?`;
    throw new ModelError('model_load_failed', message, { cause });
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  const source = await realpath(from);
  await mkdir(dirname(to), { recursive: true });
  await link(source, to).catch(() => copyFile(source, to));
}
