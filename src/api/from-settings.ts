import { SettingsError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { requireSettings, type Settings } from '../base/settings.ts';
import { createVectorStore, type VectorStore } from '../qdrant/store.ts';
import { createDatabase, type Database } from '../supabase/database.ts';
import { connectEndpoints } from './runpod/endpoints.ts';
import { openRuns, runPolicy, type Runs, type RunsOptions } from './runs/runs.ts';
import { webhookSignature } from './runs/webhook-signature.ts';

/** Somebody waits for the answer: where a store stays away for longer, they are told so. */
const PATIENCE_MS = 15_000;

export interface Stores {
  database: Database;
  store: VectorStore;
}

export interface StoreLimits {
  patienceMs?: number;
  timeoutMs?: number;
}

/** The Supabase that the environment names. @throws SettingsError that names what is missing. */
export function connectDatabase(settings: Settings, who: string, limits: StoreLimits = {}): Database {
  const needed = requireSettings(settings, ['SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY'], who);
  const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key } = needed;
  return createDatabase({ url, key, patienceMs: PATIENCE_MS, ...limits });
}

/** Both stores that the environment names. @throws SettingsError that names all that is missing. */
export function connectStores(settings: Settings, who: string, limits: StoreLimits = {}): Stores {
  const needed = ['SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY', 'QDRANT_URL'] as const;
  const { QDRANT_URL: url, QDRANT_API_KEY: apiKey } = requireSettings(settings, needed, who);
  const store = createVectorStore({ url, apiKey, patienceMs: PATIENCE_MS, ...limits });
  return { database: connectDatabase(settings, who, limits), store };
}

export interface SettingsRunsOptions extends Pick<RunsOptions, 'database' | 'onResult'> {
  settings: Settings;
  /** Absent: those of RunPod that are set. */
  endpoints?: RunsOptions['endpoints'] | undefined;
  log: Log;
}

/** Runs as the environment wants them: endpoints, webhook, credentials, time. @throws SettingsError */
export function runsOf({ settings, endpoints, ...options }: SettingsRunsOptions): Runs {
  return openRuns({
    ...options,
    endpoints: endpoints ?? connectEndpoints(settings),
    webhookUrl: webhookOf(settings)?.url,
    credentials: settings.API_SEND_CREDENTIALS === true ? credentialsOf(settings) : undefined,
    policy: runPolicy(settings.JOB_TIMEOUT_MS),
  });
}

interface Webhook {
  secret: string;
  url: NonNullable<RunsOptions['webhookUrl']>;
}

/** Without it, the ends of runs are found by looking. @throws SettingsError for half of what it needs. */
export function webhookOf({
  API_PUBLIC_URL: base,
  API_WEBHOOK_SECRET: secret,
}: Settings): Webhook | undefined {
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
