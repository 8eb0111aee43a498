import { readMachine, type Machine } from '../base/machine.ts';
import { readSettings, type Settings } from '../base/settings.ts';
import { createHttp, type Http } from '../http/http.ts';
import { createDecoder, type Decode } from '../image/decode.ts';
import { createImageSource, type ImageSource } from '../image/source.ts';
import { createModelCache, type ModelCache } from '../model/cache.ts';
import type { JobSpans } from '../telemetry/job-span.ts';
import { createJobSpans } from '../telemetry/spans.ts';
import type { ExtractLimits } from './extract.ts';
import { chooseStages } from './stage-sizes.ts';
import { sizesTeller, type TellSizes } from './tell-sizes.ts';

/** What outlives a job: connections, and the model's session. */
export interface EmbeddingTools extends AsyncDisposable {
  settings: Settings;
  http: Http;
  source: ImageSource;
  /** Its bound on memory holds for all jobs together. */
  decode: Decode;
  models: ModelCache;
  limits: ExtractLimits;
  /** Logs once for each model how much runs at once, and what each number was chosen by. */
  tellSizes: TellSizes;
  /** Where a job's spans go; undefined where no OTEL_EXPORTER_OTLP_ENDPOINT is set. */
  spans: JobSpans | undefined;
  /** How long Supabase and Qdrant may each be away before a job ends; two minutes by default. */
  patienceMs?: number;
  /** For how long after a job's start whoever submitted it may still write over its row; two seconds by default. */
  settleMs?: number;
  close(): Promise<void>;
}

/** Points in one write: in the middle of what Qdrant advises. */
const WRITE_SIZE = 128;

export function createEmbeddingTools(
  settings: Settings = readSettings(),
  machine: Machine = readMachine(),
): EmbeddingTools {
  const sizes = chooseStages(machine, settings);
  const http = createHttp({
    allowPrivateHosts: settings.ALLOW_PRIVATE_HOSTS ?? false,
    concurrency: sizes.downloads.value,
    connectionsPerHost: sizes.downloads.value,
  });
  const models = createModelCache();
  const close = async (): Promise<void> => {
    await Promise.all([http.close(), models.close()]);
  };
  return {
    settings,
    http,
    source: createImageSource({ http }),
    decode: createDecoder({ maxBytesAtOnce: sizes.decodeBytes.value }),
    models,
    limits: {
      downloads: sizes.downloads.value,
      decoders: sizes.decoders.value,
      writes: sizes.writes.value,
      writeSize: WRITE_SIZE,
    },
    tellSizes: sizesTeller(machine, sizes),
    spans: createJobSpans(settings),
    close,
    [Symbol.asyncDispose]: close,
  };
}
