import { z } from 'zod';

import { SettingsError } from '../../src/base/errors.ts';
import { SETTINGS_SCHEMA } from '../../src/base/settings.ts';

/** RunPod's serverless GPU pools, the smallest memory first. */
const GPU_POOLS = [
  'AMPERE_16',
  'AMPERE_24',
  'ADA_24',
  'AMPERE_48',
  'ADA_48_PRO',
  'AMPERE_80',
  'ADA_80_PRO',
  'HOPPER_141',
] as const;

const text = z.string().min(1).optional();
const address = z.url({ protocol: /^https?$/, error: 'expected an http(s) address' });
const whole = z.coerce.number({ error: 'expected a whole number' }).int();
const listed = (value: string | undefined): string[] | undefined =>
  value
    ?.split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
const list = z.string().optional().transform(listed);

/** What deploying reads beside the worker's own settings; `.env.example` lists the same keys: a test says so. */
export const DEPLOY_SETTINGS_SCHEMA = z.object({
  RUNPOD_API_KEY: text,
  IMAGE_REPOSITORY: z
    .string({ error: 'is required: where images are pushed to' })
    .regex(/^[a-z\d][\w./:-]*$/, {
      error: 'expected a repository without a tag, such as docker.io/acme/gpu-handlers',
    }),
  RUNPOD_ENDPOINT_EMBEDDING: text,
  RUNPOD_ENDPOINT_CLS_TRAINING: text,
  DEPLOY_NAME: z.string().min(1).default('gpu-handlers'),
  DEPLOY_GPU_POOLS: list.pipe(
    z.array(z.enum(GPU_POOLS, { error: `expected a list of ${GPU_POOLS.join(', ')}` })).optional(),
  ),
  DEPLOY_WORKERS_MIN: whole.nonnegative().optional(),
  DEPLOY_WORKERS_MAX: whole.positive().optional(),
  DEPLOY_IDLE_TIMEOUT_S: whole.min(1).max(3600).optional(),
  DEPLOY_QUEUE_DELAY_S: z.coerce.number({ error: 'expected a number' }).min(0.5).optional(),
  DEPLOY_FLASHBOOT: z
    .enum(['OFF', 'FLASHBOOT', 'PRIORITY_FLASHBOOT'], {
      error: 'expected OFF, FLASHBOOT or PRIORITY_FLASHBOOT',
    })
    .optional(),
  DEPLOY_DISK_GB: whole.positive().default(20),
  DEPLOY_NETWORK_VOLUMES: list,
  DEPLOY_DATA_CENTERS: list,
  DEPLOY_REGISTRY_ID: text,
  /** A worker's image is some gigabytes, and a machine may have to be found first. */
  DEPLOY_WORKER_WAIT_S: whole.positive().default(1_200),
  DEPLOY_SMOKE_TIMEOUT_S: whole.positive().default(300),
  RUNPOD_REST_URL: address.default('https://api.runpod.io'),
  RUNPOD_JOBS_URL: address.default('https://api.runpod.ai'),
});

type ParsedSettings = z.infer<typeof DEPLOY_SETTINGS_SCHEMA>;

export interface DeploySettings extends ParsedSettings {
  /** How long a job may run, in milliseconds; undefined: not said. */
  jobTimeoutMs: number | undefined;
  /** What the containers get as their environment. */
  workerEnv: Readonly<Record<string, string>>;
}

/**
 * The worker's settings that a deployment hands on, beside all of OpenTelemetry's (OTEL_*), most of which its SDK reads.
 * The platform sets RUNPOD_* itself; the rest is for other programs.
 */
export const WORKER_KEYS = [
  'SUPABASE_URL',
  'SUPABASE_SERVICE_ROLE_KEY',
  'QDRANT_URL',
  'QDRANT_API_KEY',
  'HF_TOKEN',
  'HF_ENDPOINT',
  'HF_HOME',
  'HF_HUB_CACHE',
  'HF_HUB_OFFLINE',
  'MODEL_DIR',
  'ONNX_PROVIDERS',
  'REQUIRE_GPU',
  'ALLOW_PRIVATE_HOSTS',
  'LOG_LEVEL',
  'BATCH_SIZE',
  'INFERENCE_THREADS',
  'DOWNLOAD_CONCURRENCY',
  'DECODE_CONCURRENCY',
  'INFERENCE_SESSIONS',
  'WRITE_CONCURRENCY',
  'UV_THREADPOOL_SIZE',
  'JOB_TIMEOUT_MS',
] as const satisfies readonly (keyof typeof SETTINGS_SCHEMA.shape)[];

type Variables = Readonly<Record<string, string | undefined>>;

export interface DeploySources {
  /**
   * The variables of `.env`. What the containers get comes from there alone: what happens to be set in a shell must not
   * reach production.
   */
  file: Variables;
  /** Goes before the file for what deploying itself reads. */
  environment: Variables;
  /** Is anything to be sent? */
  needsKey: boolean;
}

/** @throws SettingsError that names every faulty variable at once, never a value. */
export function readDeploySettings({ file, environment, needsKey }: DeploySources): DeploySettings {
  const own = present(Object.keys(DEPLOY_SETTINGS_SCHEMA.shape), { ...file, ...withoutEmpty(environment) });
  const deploy = DEPLOY_SETTINGS_SCHEMA.safeParse(own);
  const telemetry = Object.keys(file).filter((key) => key.startsWith('OTEL_'));
  const workerEnv = present([...WORKER_KEYS, ...telemetry], file);
  const worker = SETTINGS_SCHEMA.safeParse(workerEnv);
  const faults = [...(deploy.error?.issues ?? []), ...(worker.error?.issues ?? [])].map(
    (issue) => `${String(issue.path[0])}: ${issue.message}`,
  );
  if (needsKey && own.RUNPOD_API_KEY === undefined) faults.unshift('RUNPOD_API_KEY: is required');
  if (deploy.data === undefined || faults.length > 0)
    throw new SettingsError(`settings of the deployment are wrong: ${faults.join('; ')}`);
  return { ...deploy.data, jobTimeoutMs: worker.data?.JOB_TIMEOUT_MS, workerEnv };
}

function withoutEmpty(variables: Variables): Variables {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value?.trim() !== ''));
}

function present(keys: readonly string[], variables: Variables): Record<string, string> {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = variables[key]?.trim();
      return value === undefined || value === '' ? [] : [[key, value]];
    }),
  );
}
