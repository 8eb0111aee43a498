import type { Log } from '../../base/log.ts';
import { createDirectHttp } from '../../http/direct.ts';
import { listen } from '../../http/listen.ts';
import type { AnyHandler } from '../types.ts';
import { runWorker, type WorkerOptions } from '../worker.ts';
import { isLoopback, noForeignPages, onlyWithKey } from './callers.ts';
import { statusOf } from './job.ts';
import { createJobTable } from './job-table.ts';
import { ENDPOINT_LIMITS, type EndpointLimits } from './limits.ts';
import { createLocalPlatform } from './local-platform.ts';
import { createRoutes } from './routes.ts';
import { createWebhooks } from './webhooks.ts';

export interface EndpointParts {
  host: string;
  port: number;
  /** Asked of every client; undefined: none is. */
  key: string | undefined;
  workerId: string;
  log: Log;
  stop: AbortSignal;
  /** Told the address as soon as it is served. */
  onListening: (url: string) => void;
  limits?: Partial<EndpointLimits>;
}

/** For answers and webhooks that are under way when everything else has ended. */
const LAST_WORDS_MS = 2_000;

/**
 * RunPod's API for one handler, in this process: a queue, a worker and the addresses that clients use. Serves until it
 * is told to stop: jobs that run get their signal and their time as in a worker, jobs that wait fail, and whoever waits
 * for one of them is answered. @returns the exit code.
 * @throws HandlerError `cannot_listen`; SettingsError for a wrong option.
 */
export async function runEndpoint(
  handler: AnyHandler,
  options: WorkerOptions,
  parts: EndpointParts,
): Promise<number> {
  const { host, port, key, workerId, log, stop } = parts;
  const limits = { ...ENDPOINT_LIMITS, ...parts.limits };
  const http = createDirectHttp();
  const webhooks = createWebhooks({ http, retryMs: limits.webhookRetryMs, log });
  const jobs = createJobTable({
    limits,
    onEnd: (job) => {
      if (job.webhook === undefined) return;
      webhooks.call({ url: job.webhook, jobId: job.id, body: JSON.stringify(statusOf(job)) });
    },
  });
  let ready = false;
  const callers = key === undefined ? noForeignPages(isLoopback(host)) : onlyWithKey(key);
  const routes = createRoutes({ callers, jobs, limits, isReady: () => ready, log });
  const advice = 'see --rp_api_port';
  const server = await listen({ fetch: routes.fetch, host, port, who: 'the endpoint', advice });
  log.info('Serving jobs on this machine', { url: server.url });
  if (key === undefined && !isLoopback(host)) {
    log.warn('Anybody who reaches this address can run jobs: set LOCAL_ENDPOINT_KEY');
  }
  parts.onListening(server.url);

  const close = (): void => jobs.close();
  if (stop.aborted) close();
  stop.addEventListener('abort', close, { once: true });
  try {
    const platform = createLocalPlatform({
      jobs,
      workerId,
      onReady: () => (ready = true),
      log,
    });
    return await runWorker(handler, options, {
      platform,
      identity: { workerId, hostname: undefined },
      jobTimeoutMs: undefined,
      log,
      stop,
    });
  } finally {
    stop.removeEventListener('abort', close);
    jobs.close();
    await webhooks.close(LAST_WORDS_MS);
    await server.close(LAST_WORDS_MS);
    await http.close();
  }
}
