import { createLog } from '../../../src/base/log.ts';
import { readSettings } from '../../../src/base/settings.ts';
import { startApi, type ApiOptions, type RunningApi } from '../../../src/api/http/start-api.ts';
import type { TestQdrant } from '../qdrant.ts';
import type { TestSupabase } from '../supabase.ts';
import { clientOf, type ApiClient, type OpenApiDocument } from './openapi-client.ts';
import { API_KEY } from './runpod.ts';

export const CALLER_KEY = 'caller-key-0123456789';
export const WEBHOOK_SECRET = 'webhook-secret-0123456789';

export interface TestApi extends RunningApi {
  client: ApiClient;
  document: OpenApiDocument;
  /** Everything that was logged. */
  logged(): string;
  /** As any client, with the key unless the headers have another. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

export interface TestApiOptions {
  supabase: Pick<TestSupabase, 'url' | 'serviceKey'>;
  qdrant: Pick<TestQdrant, 'url' | 'apiKey'>;
  /** RunPod's address. */
  runpod: string;
  settings?: Record<string, string>;
  runStateless?: ApiOptions['runStateless'];
}

/** The API, listening at any port, with a client made of its document. */
export async function startTestApi(options: TestApiOptions): Promise<TestApi> {
  const { supabase, qdrant, runpod } = options;
  let text = '';
  const api = await startApi({
    settings: readSettings({
      SUPABASE_URL: supabase.url,
      SUPABASE_SERVICE_ROLE_KEY: supabase.serviceKey,
      QDRANT_URL: qdrant.url,
      QDRANT_API_KEY: qdrant.apiKey,
      RUNPOD_API_KEY: API_KEY,
      RUNPOD_ENDPOINT_EMBEDDING: 'scripted',
      RUNPOD_ENDPOINT_CLS_TRAINING: 'scripted',
      RUNPOD_JOBS_URL: runpod,
      API_PORT: '0',
      API_KEYS: `${CALLER_KEY}, another-key-0123456789`,
      API_PUBLIC_URL: 'https://api.example.invalid/',
      API_WEBHOOK_SECRET: WEBHOOK_SECRET,
      API_RATE_PER_MINUTE: '100000',
      API_RECONCILE_INTERVAL_MS: '600000',
      ...options.settings,
    }),
    version: '1.2.3',
    log: createLog({ level: 'debug', write: (line) => (text += line) }),
    runStateless: options.runStateless,
  });
  const send = (path: string, init: RequestInit = {}): Promise<Response> => fetch(`${api.url}${path}`, init);
  try {
    const document = (await (await send('/openapi.json')).json()) as OpenApiDocument;
    return {
      ...api,
      client: clientOf(document, send, CALLER_KEY),
      document,
      logged: () => text,
      fetch: (path, init = {}) =>
        send(path, {
          ...init,
          headers: { authorization: `Bearer ${CALLER_KEY}`, ...(init.headers as object) },
        }),
    };
  } catch (error) {
    await api.close();
    throw error;
  }
}
