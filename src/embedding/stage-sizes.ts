import type { Machine } from '../base/machine.ts';
import type { Settings } from '../base/settings.ts';

interface Chosen {
  value: number;
  from: 'set' | 'default' | 'cores' | 'memory';
}

/** How much of each stage but the model's runs at once; the model's own sizes are in src/model/sizes.ts. */
export interface StageSizes {
  downloads: Chosen;
  decoders: Chosen;
  writes: Chosen;
  /** What all pictures that are being decoded may take at once. */
  decodeBytes: Chosen;
}

type StageSettings = Pick<Settings, 'DOWNLOAD_CONCURRENCY' | 'DECODE_CONCURRENCY' | 'WRITE_CONCURRENCY'>;

/** Enough to hide 100 ms of latency from two cores, few enough for a small host. */
const DOWNLOADS = 32;
/** A core decodes some 200 JPEGs of 1000 x 1000 a second: to feed it over 100 ms of latency takes about as many. */
const DOWNLOADS_PER_CORE = 16;
/** More than any one host should see of one worker. */
const MAX_DOWNLOADS = 128;
/** Files that are held at once; most are smaller, and few are as large as is allowed. */
const BYTES_PER_DOWNLOAD = 4 * 2 ** 20;
const WRITES = 3;
const DECODE_BYTES = 2 ** 30;
const MIN_DECODE_BYTES = 64 * 2 ** 20;
/** What of the free memory files and pictures may take; models: src/model/sizes.ts. */
const DOWNLOAD_SHARE = 1 / 8;
const DECODE_SHARE = 1 / 4;

/** What is set, and the rest from cores and memory. */
export function chooseStages(
  { cores, freeMemoryBytes = Infinity }: Machine,
  settings: StageSettings,
): StageSizes {
  return {
    downloads:
      asSet(settings.DOWNLOAD_CONCURRENCY) ??
      atMost(
        { value: Math.floor((freeMemoryBytes * DOWNLOAD_SHARE) / BYTES_PER_DOWNLOAD), from: 'memory' },
        cores * DOWNLOADS_PER_CORE <= DOWNLOADS
          ? { value: DOWNLOADS, from: 'default' }
          : { value: Math.min(MAX_DOWNLOADS, cores * DOWNLOADS_PER_CORE), from: 'cores' },
      ),
    decoders: asSet(settings.DECODE_CONCURRENCY) ?? { value: cores, from: 'cores' },
    writes: asSet(settings.WRITE_CONCURRENCY) ?? { value: WRITES, from: 'default' },
    decodeBytes: atMost(
      { value: Math.max(MIN_DECODE_BYTES, Math.floor(freeMemoryBytes * DECODE_SHARE)), from: 'memory' },
      { value: DECODE_BYTES, from: 'default' },
    ),
  };
}

function asSet(value: number | undefined): Chosen | undefined {
  return value === undefined ? undefined : { value, from: 'set' };
}

function atMost(limit: Chosen, wanted: Chosen): Chosen {
  return limit.value < wanted.value ? { ...limit, value: Math.max(1, limit.value) } : wanted;
}
