import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { createHttp } from '../../../src/http/http.ts';
import { CATALOGUE, type ModelType } from '../../../src/model/catalogue.ts';
import { createModelHub, type HubOptions, type ModelHub } from '../../../src/model/hub/hub.ts';
import { processorConfig } from '../../../src/model/processor.ts';
import { buildTinyVit } from '../../../src/model/small/tiny-models.ts';
import { writeModel } from '../../../src/onnx/codec.ts';
import { moveWeightsOut } from '../../../src/onnx/external.ts';
import { startHub, type TestHub } from '../../support/hub.ts';
import { folder, keptLog, SMALL, type Folder } from '../support.ts';

/** With weights in the graph, and with weights beside it. */
export const ONE_FILE = 'dinov2-small' satisfies ModelType;
export const TWO_FILES = 'dinov3-small' satisfies ModelType;

const PROCESSOR = JSON.stringify(processorConfig(SMALL));

export function sourceOf(modelType: ModelType): { repository: string; file: string } {
  const { source } = CATALOGUE[modelType];
  if (source === null) throw new TypeError(`${modelType} is not published`);
  return source;
}

/** A published repository's files with real small models in them. */
export function oneFile(seed = 1): Record<string, Uint8Array | string> {
  return {
    'onnx/model.onnx': writeModel(buildTinyVit({ dim: 64, seed })),
    'preprocessor_config.json': PROCESSOR,
    'README.md': 'not needed',
  };
}

export function twoFiles(location = 'model.onnx_data', seed = 1): Record<string, Uint8Array | string> {
  const { model, data } = moveWeightsOut(buildTinyVit({ dim: 64, seed }), location);
  return {
    'onnx/model.onnx': writeModel(model),
    [`onnx/${location}`]: data,
    'preprocessor_config.json': PROCESSOR,
  };
}

export interface HubTest extends AsyncDisposable {
  server: TestHub;
  /** Emptied after the test. */
  cache: Folder;
  log: ReturnType<typeof keptLog>;
  /** What a process makes of its settings: a hub with connections of its own. */
  hub(options?: Partial<HubOptions>): ModelHub;
  find(modelType: ModelType, options?: Partial<HubOptions>): ReturnType<ModelHub['find']>;
  /** A path in a repository's cached snapshot. */
  at(modelType: ModelType, commit: string, path: string): string;
}

export async function hubTest(): Promise<HubTest> {
  const opened = new AsyncDisposableStack();
  const server = opened.use(await startHub());
  const cache = opened.use(await folder());
  const http = opened.use(createHttp({ allowPrivateHosts: true }));
  const log = keptLog();
  server.arrived = async (_, bytes) => {
    while ((await incompleteBytes(cache.path)) < bytes) await setTimeout(5);
  };
  const hub = (options: Partial<HubOptions> = {}): ModelHub =>
    createModelHub({
      http,
      endpoint: server.url,
      cacheDir: cache.path,
      platformCacheDir: join(cache.path, 'no-platform'),
      retryBaseDelayMs: 1,
      ...options,
    });
  return {
    server,
    cache,
    log,
    hub,
    find: (modelType, options) => hub(options).find(sourceOf(modelType), { log }),
    at: (modelType, commit, path) => join(repositoryFolder(cache.path, modelType), 'snapshots', commit, path),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

export function repositoryFolder(cacheDir: string, modelType: ModelType): string {
  return join(cacheDir, `models--${sourceOf(modelType).repository.replaceAll('/', '--')}`);
}

/** What there is of the one file that is on its way. */
export async function incompleteBytes(cacheDir: string): Promise<number> {
  const names = await readdir(cacheDir, { recursive: true });
  const name = names.find((n) => n.endsWith('.incomplete'));
  return name === undefined
    ? 0
    : stat(join(cacheDir, name)).then(
        ({ size }) => size,
        () => 0,
      );
}
