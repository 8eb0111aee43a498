import { HandlerError, SettingsError, StoppedError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Settings } from '../../base/settings.ts';
import { listen } from '../../http/listen.ts';
import { createVectorStore } from '../../qdrant/store.ts';
import { createDatabase, type Filter } from '../../supabase/database.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { createLookup } from '../plan/lookup.ts';
import { connectEndpoints } from '../runpod/endpoints.ts';
import { keepReconciling } from '../runs/reconcile.ts';
import { createRunReader } from '../runs/run-view.ts';
import { openRuns, runPolicy } from '../runs/runs.ts';
import { webhookSignature } from '../runs/webhook-signature.ts';
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
/** A client waits: where a store stays away for longer, it is told so. */
const PATIENCE_MS = 15_000;
const READY_TIMEOUT_MS = 2_000;
const READY_AGAIN_MS = 1_000;
/** Requests under way have so long to end. */
const CLOSE_MS = 10_000;

/**
 * Serves the API, and looks after runs, until it is closed.
 * @throws SettingsError that names every variable that is missing; HandlerError `cannot_listen`.
 */
export async function startApi({ settings, version, log, runStateless }: ApiOptions): Promise<RunningApi> {
  const { supabase, qdrant, keys } = required(settings);
  const database = createDatabase({ ...supabase, patienceMs: PATIENCE_MS });
  const store = createVectorStore({ ...qdrant, patienceMs: PATIENCE_MS });
  const endpoints = connectEndpoints(settings);
  const metrics = createMetrics({ database, endpoints, log });
  const webhook = webhookOf(settings);
  const runs = openRuns({
    database,
    endpoints,
    webhookUrl: webhook?.url,
    credentials: settings.API_SEND_CREDENTIALS === true ? credentialsOf(settings) : undefined,
    policy: runPolicy(settings.JOB_TIMEOUT_MS),
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
    ready: readiness({ supabase, qdrant, stopping: stop.signal }),
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

interface Stores {
  supabase: { url: string; key: string };
  qdrant: { url: string; apiKey?: string };
}

function required(settings: Settings): Stores & { keys: readonly string[] } {
  const { SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY, QDRANT_URL, QDRANT_API_KEY, API_KEYS } = settings;
  const missing = Object.entries({ SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY, QDRANT_URL, API_KEYS })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  if (
    SUPABASE_URL === undefined ||
    SUPABASE_SERVICE_ROLE_KEY === undefined ||
    QDRANT_URL === undefined ||
    API_KEYS === undefined
  ) {
    throw new SettingsError(`the API needs ${missing.join(', ')}; .env.example says what they are`);
  }
  return {
    supabase: { url: SUPABASE_URL, key: SUPABASE_SERVICE_ROLE_KEY },
    qdrant: { url: QDRANT_URL, ...(QDRANT_API_KEY !== undefined && { apiKey: QDRANT_API_KEY }) },
    keys: API_KEYS,
  };
}

interface Webhook {
  secret: string;
  url: NonNullable<Parameters<typeof openRuns>[0]['webhookUrl']>;
}

/** Without it, the ends of runs are found by looking. @throws SettingsError for half of what it needs. */
function webhookOf({ API_PUBLIC_URL: base, API_WEBHOOK_SECRET: secret }: Settings): Webhook | undefined {
  if (secret === undefined) return undefined;
  if (base === undefined) throw new SettingsError('API_WEBHOOK_SECRET is set, and API_PUBLIC_URL is not');
  const root = base.replace(/\/+$/, '');
  return {
    secret,
    url: (kind, id) => `${root}/v1/webhooks/runpod/${kind}/${id}/${webhookSignature(secret, kind, id)}`,
  };
}

function credentialsOf(settings: Settings): Record<string, string> {
  const all = {
    supabase_url: settings.SUPABASE_URL,
    supabase_service_key: settings.SUPABASE_SERVICE_ROLE_KEY,
    qdrant_url: settings.QDRANT_URL,
    qdrant_api_key: settings.QDRANT_API_KEY,
    hf_token: settings.HF_TOKEN,
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Asks both stores for next to nothing, once, and not more often than once a second, however many ask. */
function readiness({ supabase, qdrant, stopping }: Stores & { stopping: AbortSignal }) {
  const limits = { patienceMs: 0, timeoutMs: READY_TIMEOUT_MS };
  const database = createDatabase({ ...supabase, ...limits });
  const store = createVectorStore({ ...qdrant, ...limits });
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
