import { z } from 'zod';

import { SettingsError } from './errors.ts';

const flag = z
  .enum(['0', '1', 'true', 'false'], { error: 'expected 0 or 1' })
  .optional()
  .transform((v) => (v === undefined ? undefined : v === '1' || v === 'true'));
/** As the hub's own tools read theirs: whatever does not say yes says no. */
const hubFlag = z
  .string()
  .optional()
  .transform((v) => (v === undefined ? undefined : ['1', 'on', 'yes', 'true'].includes(v.toLowerCase())));
const address = z.url({ protocol: /^https?$/, error: 'expected an http(s) address' }).optional();
const secret = z.string().min(1).optional();
/** Keys of callers, with commas between them; long enough not to be guessed. */
const keys = z
  .string()
  .transform((text) => text.split(',').map((key) => key.trim()))
  .pipe(
    z.array(
      z
        .string()
        .regex(/^[\x21-\x7e]{16,}$/, { error: 'expected keys of at least 16 characters, without blanks' }),
    ),
  )
  .optional();
const count = z.coerce.number({ error: 'expected a whole number' }).int().positive().optional();
const port = z.coerce
  .number({ error: 'expected a port' })
  .int({ error: 'expected a port' })
  .min(0, { error: 'expected a port' })
  .max(65_535, { error: 'expected a port' })
  .optional();
/** OpenTelemetry's: what is wrong in one of them must keep no worker from its work. */
const text = z.string().optional();
/** The platform's own words for a level. One that is unknown here is no reason to refuse to work. */
const platformLevel = z
  .string()
  .optional()
  .transform((v) => (v === undefined ? undefined : PLATFORM_LEVELS[v.toLowerCase()]));
const PLATFORM_LEVELS: Readonly<Record<string, 'debug' | 'info' | 'warn' | 'error'>> = {
  notset: 'debug',
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
};

/** Every environment variable that this package reads. `.env.example` lists the same keys: a test says so. */
export const SETTINGS_SCHEMA = z.object({
  SUPABASE_URL: address,
  SUPABASE_SERVICE_ROLE_KEY: secret,
  QDRANT_URL: address,
  QDRANT_API_KEY: secret,
  HF_TOKEN: secret,
  HF_ENDPOINT: address,
  HF_HOME: z.string().min(1).optional(),
  HF_HUB_CACHE: z.string().min(1).optional(),
  HF_HUB_OFFLINE: hubFlag,
  MODEL_DIR: z.string().min(1).optional(),
  ONNX_PROVIDERS: z
    .string()
    .optional()
    .transform((v) => (v ?? 'cpu').split(',').map((p) => p.trim().toLowerCase()))
    .pipe(
      z.array(z.enum(['cuda', 'webgpu', 'cpu'], { error: 'expected a list of cuda, webgpu, cpu' })).min(1),
    ),
  REQUIRE_GPU: flag,
  ALLOW_PRIVATE_HOSTS: flag,
  LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error'], { error: 'expected one of debug, info, warn, error' })
    .optional(),
  BATCH_SIZE: count,
  INFERENCE_THREADS: count,
  INFERENCE_SESSIONS: count,
  DOWNLOAD_CONCURRENCY: count,
  DECODE_CONCURRENCY: count,
  WRITE_CONCURRENCY: count,
  UV_THREADPOOL_SIZE: count,
  OTEL_EXPORTER_OTLP_ENDPOINT: text,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text,
  OTEL_EXPORTER_OTLP_TIMEOUT: text,
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: text,
  OTEL_SDK_DISABLED: text,
  OTEL_TRACES_EXPORTER: text,
  OTEL_TRACES_SAMPLER: text,
  OTEL_TRACES_SAMPLER_ARG: text,
  RUNPOD_ENDPOINT_ID: z.string().optional(),
  RUNPOD_WEBHOOK_GET_JOB: address,
  RUNPOD_WEBHOOK_POST_OUTPUT: address,
  RUNPOD_WEBHOOK_POST_STREAM: address,
  RUNPOD_WEBHOOK_PING: address,
  RUNPOD_POD_ID: z.string().optional(),
  RUNPOD_POD_HOSTNAME: z.string().optional(),
  RUNPOD_AI_API_KEY: secret,
  RUNPOD_PING_INTERVAL: count,
  RUNPOD_LOG_LEVEL: platformLevel,
  RUNPOD_DEBUG_LEVEL: platformLevel,
  JOB_TIMEOUT_MS: count,
  LOCAL_ENDPOINT_KEY: secret,
  RUNPOD_API_KEY: secret,
  RUNPOD_ENDPOINT_EMBEDDING: z.string().optional(),
  RUNPOD_ENDPOINT_CLS_TRAINING: z.string().optional(),
  RUNPOD_JOBS_URL: address,
  API_HOST: z.string().optional(),
  API_PORT: port,
  API_KEYS: keys,
  API_RATE_PER_MINUTE: count,
  API_PUBLIC_URL: address,
  API_WEBHOOK_SECRET: z.string().min(16, { error: 'expected at least 16 characters' }).optional(),
  API_RECONCILE_INTERVAL_MS: count,
  API_EMBED_HERE: flag,
  API_SEND_CREDENTIALS: flag,
});

export type Settings = z.infer<typeof SETTINGS_SCHEMA>;
export type ExecutionProvider = Settings['ONNX_PROVIDERS'][number];

/**
 * Reads the environment once. Empty values count as absent.
 * @throws SettingsError that names every faulty variable at once, never a value.
 */
export function readSettings(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Settings {
  const { settings, faults } = lookAtSettings(environment);
  if (faults.length === 0) return settings;
  const said = faults.map(({ name, message }) => `${name}: ${message}`).join('; ');
  throw new SettingsError(`environment variables are wrong: ${said}`);
}

interface SettingFault {
  name: string;
  message: string;
}

export interface SettingsLook {
  /** Without those that are wrong. */
  settings: Settings;
  faults: SettingFault[];
  /** All variables that are set, whoever reads them; an empty one is not. */
  names: string[];
}

/** As `readSettings`, with what is wrong told apart from the rest. */
export function lookAtSettings(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): SettingsLook {
  const names = Object.keys(environment).filter((name) => (environment[name]?.trim() ?? '') !== '');
  const present = Object.fromEntries(
    Object.keys(SETTINGS_SCHEMA.shape).flatMap((key) => {
      const value = environment[key]?.trim();
      return value === undefined || value === '' ? [] : [[key, value]];
    }),
  );
  const result = SETTINGS_SCHEMA.safeParse(present);
  if (result.success) return { settings: result.data, faults: [], names };
  const faults = result.error.issues.map(({ path, message }) => ({ name: String(path[0]), message }));
  const wrong = new Set(faults.map(({ name }) => name));
  const right = Object.fromEntries(Object.entries(present).filter(([key]) => !wrong.has(key)));
  return { settings: SETTINGS_SCHEMA.parse(right), faults, names };
}

/** The settings that somebody cannot do without. @throws SettingsError that names all that are missing. */
export function requireSettings<const K extends keyof Settings>(
  settings: Settings,
  keys: readonly K[],
  who: string,
): Settings & { [P in K]: NonNullable<Settings[P]> } {
  if (hasAll(settings, keys)) return settings;
  const missing = keys.filter((key) => settings[key] === undefined).join(', ');
  throw new SettingsError(`${who} needs ${missing}; .env.example says what they are`);
}

function hasAll<K extends keyof Settings>(
  settings: Settings,
  keys: readonly K[],
): settings is Settings & { [P in K]: NonNullable<Settings[P]> } {
  return keys.every((key) => settings[key] !== undefined);
}

/** Takes settings from a file too, as `node --env-file` does: what the environment has already stays. */
export function loadSettingsFile(file: string): void {
  process.loadEnvFile(file);
}

/** The environment of a process that this one starts: its own, with these variables changed. */
export function environmentWith(changes: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...process.env, ...changes };
}
