import { createHttp } from '../../http/http.ts';
import { createImageSource, type ImageSource } from '../../image/source.ts';
import type { Preload } from '../input-loading.ts';

export interface PictureSource extends ImageSource, AsyncDisposable {}

const MAX_CONNECT_MS = 10_000;

/** Fetches as the job's settings say. Each read is one try, over within `http_timeout`, its redirects included. */
export function createPictureSource(
  { max_workers: workers, http_timeout: seconds }: Pick<Preload, 'max_workers' | 'http_timeout'>,
  { allowPrivateHosts }: { allowPrivateHosts: boolean },
): PictureSource {
  const timeoutMs = seconds * 1_000;
  const http = createHttp({
    allowPrivateHosts,
    concurrency: workers,
    connectionsPerHost: workers,
    connectTimeoutMs: Math.min(MAX_CONNECT_MS, timeoutMs),
    headersTimeoutMs: timeoutMs,
    bodyTimeoutMs: timeoutMs,
    deadlineMs: timeoutMs,
    attempts: 1,
  });
  const source = createImageSource({ http });
  return { read: (url, signal) => source.read(url, signal), [Symbol.asyncDispose]: () => http.close() };
}
