import { availableParallelism } from 'node:os';

import { readSettings, type Settings } from '../base/settings.ts';
import { createHttp, type Http } from '../http/http.ts';
import { createDecoder, type Decode } from '../image/decode.ts';
import { createImageSource, type ImageSource } from '../image/source.ts';
import { createModelCache, type ModelCache } from '../model/cache.ts';
import type { ExtractLimits } from './extract.ts';

/** What outlives a job: connections, and the model's session. */
export interface EmbeddingTools {
  settings: Settings;
  http: Http;
  source: ImageSource;
  /** Its bound on memory holds for all jobs together. */
  decode: Decode;
  models: ModelCache;
  limits: ExtractLimits;
  /** How long Supabase and Qdrant may each be away before a job ends; two minutes by default. */
  patienceMs?: number;
  close(): Promise<void>;
}

/** Downloads at once: enough to hide 100 ms of latency from a GPU, few enough for a small host. */
const DOWNLOADS = 32;
const WRITES = 3;
/** Points in one write: in the middle of what Qdrant advises. */
const WRITE_SIZE = 128;

export function createEmbeddingTools(settings: Settings = readSettings()): EmbeddingTools {
  const downloads = settings.DOWNLOAD_CONCURRENCY ?? DOWNLOADS;
  const http = createHttp({
    allowPrivateHosts: settings.ALLOW_PRIVATE_HOSTS ?? false,
    concurrency: downloads,
    connectionsPerHost: downloads,
  });
  const models = createModelCache();
  return {
    settings,
    http,
    source: createImageSource({ http }),
    decode: createDecoder(),
    models,
    limits: {
      downloads,
      decoders: availableParallelism(),
      inference: 2,
      writes: WRITES,
      writeSize: WRITE_SIZE,
    },
    async close() {
      await Promise.all([http.close(), models.close()]);
    },
  };
}
