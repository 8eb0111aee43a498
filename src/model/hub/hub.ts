import { join } from 'node:path';

import { ModelError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Settings } from '../../base/settings.ts';
import type { Http } from '../../http/http.ts';
import { FILE_DEADLINE_MS } from '../../http/save.ts';
import { cacheDirOf, folderName, PLATFORM_CACHE_DIR } from './cache-layout.ts';
import { fetchModel } from './fetch-model.ts';
import { withProcessLock } from './process-lock.ts';
import { createRemote } from './remote.ts';
import { findSnapshot, type LocalModel, type ModelSource } from './snapshot.ts';

export interface HubOptions {
  http: Http;
  /** Default: https://huggingface.co */
  endpoint?: string | undefined;
  token?: string | undefined;
  /** The cache that is read and written. */
  cacheDir: string;
  /** A cache that is only read, and looked at first. */
  platformCacheDir?: string;
  /** No request is made. */
  offline?: boolean;
  /** Of all files of a model together. */
  maxBytes?: number;
  /** For one file, with all its tries. */
  fileDeadlineMs?: number;
  /** Wait before the second try of what may pass. */
  retryBaseDelayMs?: number;
}

/** Published models: from the platform's cache, else the local one, else fetched into that, once. */
export interface ModelHub {
  /**
   * The model's files on this machine, whole and checked.
   * @returns Where it was looked for, if it is not here and no request may be made.
   * @throws ModelError `model_changed`, `model_not_allowed`, `model_not_on_hub`, `model_too_large`,
   * `model_download_invalid`, `model_download_failed`; or the signal's reason.
   */
  find(
    source: ModelSource,
    options: { log: Log; signal?: AbortSignal | undefined },
  ): Promise<LocalModel | { lookedFor: string[] }>;
}

const ENDPOINT = 'https://huggingface.co';
/** The catalogue's largest model has 1.2 GB; nothing that a job can name needs more than this. */
const MAX_MODEL_BYTES = 8 * 1024 ** 3;

export function createModelHub(options: HubOptions): ModelHub {
  const { cacheDir, platformCacheDir = PLATFORM_CACHE_DIR, offline = false } = options;
  const { endpoint = ENDPOINT, maxBytes = MAX_MODEL_BYTES, fileDeadlineMs = FILE_DEADLINE_MS } = options;
  const remote = createRemote({ ...options, endpoint });

  return {
    async find(source, { log, signal }) {
      // The platform keeps whole repositories: what is not there does not exist.
      const platform = await findSnapshot(platformCacheDir, { source, needsProcessor: false, log });
      if ('root' in platform) return platform;
      const findLocal = (): ReturnType<typeof findSnapshot> =>
        findSnapshot(cacheDir, { source, needsProcessor: true, log });
      const local = await findLocal();
      if ('root' in local) return local;
      if (offline) return { lookedFor: [platform.missing, local.missing] };

      const { repository } = source;
      const lock = join(cacheDir, '.locks', folderName(repository), 'gpu-handlers.lock');
      const onWait = (): void =>
        log.info('Waiting for another process that fetches this model', { repository });
      return withProcessLock(
        lock,
        async (held) => {
          const meanwhile = await findLocal();
          if ('root' in meanwhile) return meanwhile;
          return fetchModel({ remote, cacheDir, source, maxBytes, fileDeadlineMs, log, signal: held });
        },
        { signal, onWait },
      );
    },
  };
}

/**
 * Asks the hub for a model's file, and fetches nothing. @returns its size in bytes.
 * @throws ModelError as `ModelHub.find`, or the signal's reason: it asks until then.
 */
export async function askHub(
  { endpoint = ENDPOINT, ...options }: HubOptions,
  { repository, file }: ModelSource,
  signal: AbortSignal,
): Promise<number> {
  const found = await createRemote({ ...options, endpoint }).resolve(repository, 'main', file, signal);
  if (found !== undefined) return found.size;
  throw new ModelError('model_not_on_hub', `the hub has no ${file} of ${repository}`);
}

type HubSettings = Pick<Settings, 'HF_ENDPOINT' | 'HF_HOME' | 'HF_HUB_CACHE' | 'HF_HUB_OFFLINE'>;

/** What the environment says of the hub; the token is the job's, or else the environment's. */
export function hubOptions(settings: HubSettings): Omit<HubOptions, 'http' | 'token'> {
  return {
    endpoint: settings.HF_ENDPOINT,
    cacheDir: cacheDirOf(settings),
    offline: settings.HF_HUB_OFFLINE ?? false,
  };
}
