import { HandlerError, StoppedError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { requireSettings, type Settings } from '../../base/settings.ts';
import { listen } from '../../http/listen.ts';
import type { Filter } from '../../supabase/database.ts';
import { connectStores, runsOf, webhookOf, type Stores } from '../from-settings.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { createLookup } from '../plan/lookup.ts';
import { connectEndpoints } from '../runpod/endpoints.ts';
import { keepReconciling } from '../runs/reconcile.ts';
import { createRunReader } from '../runs/run-view.ts';
import { embedBy, runAtEndpoint, type RunStateless } from '../search/embed-image.ts';
import { createApp } from './app.ts';
import { remoteAddress } from './remote-address.ts';

export interface RunningApi extends AsyncDisposable {
  /** `http://127.0.0.1:{port}`, without a slash at its end. */
  readonly url: string;
  /** Takes no more requests; those under way are finished first. */
  close(): Promise<void>;
}

export interface ApiOptions {
  settings: Settings;
  version: string;
  log: Log;
  /** Embeds images of searches in this process; absent: the endpoint does. */
  runStateless?: RunStateless | undefined;
}

const HOST = '127.0.0.1';
const PORT = 8_080;
const RATE_PER_MINUTE = 600;
const RECONCILE_INTERVAL_MS = 60_000;
const READY_LIMITS = { patienceMs: 0, timeoutMs: 2_000 };
const READY_AGAIN_MS = 1_000;
/** Requests under way have so long to end. */
const CLOSE_MS = 10_000;

/**
 * Serves the API, and looks after runs, until it is closed.
 * @throws SettingsError that names every variable that is missing; HandlerError `cannot_listen`.
 */
export async function startApi({ settings, version, log, runStateless }: ApiOptions): Promise<RunningApi> {
  const { API_KEYS: keys } = requireSettings(
    settings,
    ['SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY', 'QDRANT_URL', 'API_KEYS'],
    'the API',
  );
  const { database, store } = connectStores(settings, 'the API');
  const endpoints = connectEndpoints(settings);
  const metrics = createMetrics({ database, endpoints, log });
  const webhook = webhookOf(settings);
  const runs = runsOf({
    settings,
    database,
    endpoints,
    onResult: (run, job) => metrics.runEnded(run, job),
    log,
  });
  const stateless = runStateless ?? (endpoints.embedding && runAtEndpoint(endpoints.embedding));
  const stop = new AbortController();
  const app = createApp({
    database,
    store,
    lookup: (signal) => createLookup({ database, store }, signal),
    runs,
    reader: createRunReader(database, (message) => log.warn(message)),
    metrics,
    embedImage: stateless && embedBy(stateless),
    webhookSecret: webhook?.secret,
    ready: readiness({ ...connectStores(settings, 'the API', READY_LIMITS), stopping: stop.signal }),
    log,
    keys,
    ratePerMinute: settings.API_RATE_PER_MINUTE ?? RATE_PER_MINUTE,
    info: { version, url: settings.API_PUBLIC_URL },
    addressOf: remoteAddress,
  });
  const server = await listen({
    fetch: app.fetch,
    host: settings.API_HOST ?? HOST,
    port: settings.API_PORT ?? PORT,
    who: 'the API',
    advice: 'see API_HOST and API_PORT',
  });
  const loop = keepReconciling(runs, settings.API_RECONCILE_INTERVAL_MS ?? RECONCILE_INTERVAL_MS);
  log.info('The API listens', { url: server.url, endpoints: Object.keys(endpoints) });
  const close = async (): Promise<void> => {
    stop.abort(new StoppedError('shutdown', 'the API is stopping'));
    await Promise.all([server.close(CLOSE_MS), loop.stop()]);
  };
  return { url: server.url, close, [Symbol.asyncDispose]: close };
}

/** Asks both stores for next to nothing, once, and not more often than once a second, however many ask. */
function readiness({ database, store, stopping }: Stores & { stopping: AbortSignal }) {
  const ask = async (): Promise<void> => {
    const running: Filter = { column: 'status', op: 'eq', value: 'running' };
    await Promise.all([
      database.count({ table: 'embedding_jobs', filters: [running] }),
      store.inspect('readiness'),
    ]);
  };
  let last: { at: number; answer: Promise<void> } | undefined;
  return (): Promise<void> => {
    if (stopping.aborted) return Promise.reject(new HandlerError('stopping', 'the API is stopping'));
    const now = performance.now();
    if (last === undefined || now - last.at > READY_AGAIN_MS) last = { at: now, answer: ask() };
    return last.answer;
  };
}
