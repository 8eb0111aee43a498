import { join, resolve } from 'node:path';

import { SILENT_LOG } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { Http } from '../http/http.ts';
import { CATALOGUE, type ModelType } from './catalogue.ts';
import { isFile } from './hub/cache-layout.ts';
import { askHub, createModelHub, hubOptions } from './hub/hub.ts';

/** Where a model's file would come from, if a job named the model now; `nowhere` with where it was looked for. */
export type Whereabouts =
  | { is: 'built' | 'at the hub' }
  | { is: 'here'; path: string }
  | { is: 'nowhere'; lookedFor: readonly string[] };

/**
 * Looks where a job would, in the same order, and fetches nothing.
 * @throws ModelError as `findModelFiles`; or the signal's reason.
 */
export async function whereIs(
  type: ModelType,
  { settings, http, signal }: { settings: Settings; http: Http; signal: AbortSignal },
): Promise<Whereabouts> {
  const { source } = CATALOGUE[type];
  if (source === null) return { is: 'built' };
  const { MODEL_DIR, HF_TOKEN: token } = settings;
  const paths =
    MODEL_DIR === undefined ? [] : ['model.onnx', source.file].map((f) => join(MODEL_DIR, type, f));
  for (const path of paths) if (await isFile(path)) return { is: 'here', path: resolve(path) };
  const options = { ...hubOptions(settings), http, token };
  const found = await createModelHub({ ...options, offline: true }).find(source, { log: SILENT_LOG, signal });
  if ('graph' in found) return { is: 'here', path: found.graph };
  if (options.offline === true) return { is: 'nowhere', lookedFor: [...paths, ...found.lookedFor] };
  await askHub(options, source, signal);
  return { is: 'at the hub' };
}
