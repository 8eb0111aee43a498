import { z } from 'zod';

import { realNumber, wholeNumber, yesOrNo } from '../job/fields.ts';

const OBJECT = { error: 'expected an object' };

const PRELOAD = z.object(
  {
    enabled: yesOrNo()
      .default(true)
      .describe('True: all images are fetched before training. False: each when it is first needed.'),
    batched: yesOrNo()
      .default(true)
      .describe('True: in batches of batch_size, each told when it is done. False: all at once.'),
    batch_size: wholeNumber(100, 2_000).default(500).describe('Images in a batch.'),
    max_workers: wholeNumber(1, 64).default(8).describe('Downloads at once.'),
    http_timeout: realNumber(5, 120).default(30).describe('Seconds for one try of one image.'),
    retry_attempts: wholeNumber(1, 10).default(3).describe('Tries for an image, the first included.'),
    retry_delay: realNumber(0.1, 10)
      .default(1)
      .describe('Seconds before the second try; each further wait is twice as long.'),
    use_memory_cache: yesOrNo()
      .default(false)
      .describe('True: decoded images stay in memory too, as far as it is free.'),
  },
  OBJECT,
);
export type Preload = z.infer<typeof PRELOAD>;

const WORKERS = wholeNumber(0, 16);

const DATALOADER = z.object(
  {
    num_workers: WORKERS.optional().describe('Threads that prepare images; 0 counts as 1. Default: 4.'),
    prefetch_factor: wholeNumber(1, 64).optional().describe('Batches that are ready ahead. Default: 2.'),
    pin_memory: z.unknown().optional().describe('Accepted, without a meaning here.'),
  },
  OBJECT,
);

const DATA_LOADING = z.object(
  {
    preload: PRELOAD.optional().describe('How images are fetched.'),
    dataloader: DATALOADER.optional().describe('How batches are prepared.'),
  },
  OBJECT,
);

/** The keys that say how data is loaded, in `config` or at the top level of the input. */
export const LOADING_FIELDS = {
  data_loading: DATA_LOADING.optional().describe('How images are loaded.'),
  preload_config: PRELOAD.optional().describe('As data_loading.preload, which wins over it: of old runs.'),
};

interface LoadingKeys {
  data_loading?: z.infer<typeof DATA_LOADING> | undefined;
  preload_config?: Preload | undefined;
}

export interface DataLoading {
  /** Which of the ways to say it was used. */
  form: 'data_loading.preload' | 'preload_config' | 'defaults';
  preload: Preload;
  /** Threads that prepare images. */
  workers: number;
  /** Batches that are ready ahead. */
  prefetch: number;
}

const DEFAULT_WORKERS = 4;
const DEFAULT_PREFETCH = 2;

/**
 * What holds of all that a job says about loading: `data_loading.preload` before `preload_config` before the defaults,
 * and of each the one in `config` before the one at the top level.
 */
export function effectiveLoading(
  config: LoadingKeys & { num_workers?: number | undefined },
  top: LoadingKeys,
): DataLoading {
  const dataloader = config.data_loading?.dataloader ?? top.data_loading?.dataloader;
  const preload = config.data_loading?.preload ?? top.data_loading?.preload;
  const legacy = config.preload_config ?? top.preload_config;
  return {
    form:
      preload !== undefined ? 'data_loading.preload' : legacy !== undefined ? 'preload_config' : 'defaults',
    preload: preload ?? legacy ?? PRELOAD.parse({}),
    workers: Math.max(1, dataloader?.num_workers ?? config.num_workers ?? DEFAULT_WORKERS),
    prefetch: dataloader?.prefetch_factor ?? DEFAULT_PREFETCH,
  };
}

const FORM_LINES: Readonly<Record<DataLoading['form'], string>> = {
  'data_loading.preload': "[Data Loading Config] Using 'data_loading.preload' format",
  preload_config: "[Data Loading Config] Using legacy 'preload_config' format",
  defaults: '[Data Loading Config] Using defaults',
};

/** The lines that operators look for: which form was used, then each value as it holds. */
export function loadingLines({ form, preload }: DataLoading): string[] {
  return [
    FORM_LINES[form],
    `Preload enabled: ${trueOrFalse(preload.enabled)}`,
    `Batched: ${trueOrFalse(preload.batched)}`,
    `Batch size: ${preload.batch_size}`,
    `Max workers: ${preload.max_workers}`,
    `HTTP timeout: ${preload.http_timeout}s`,
  ];
}

/** As the lines have always said it. */
function trueOrFalse(value: boolean): string {
  return value ? 'True' : 'False';
}

/** `config.num_workers` of old runs. */
export const LEGACY_WORKERS = WORKERS.optional().describe(
  'As data_loading.dataloader.num_workers: of old runs.',
);
