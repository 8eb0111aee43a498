/** What is sent to RunPod's REST API v2: only fields that it knows, as it rejects all others. */
import { z } from 'zod';

import type { DeploySettings } from './settings.ts';

/** The CUDA release of the images' base: a test holds the Dockerfiles to it. */
export const MIN_CUDA_VERSION = '12.8';

const DEFAULT_POOLS = ['ADA_24', 'AMPERE_24'];
const DEFAULT_WORKERS = { min: 0, max: 3, idleTimeout: 10 };
const DEFAULT_QUEUE_DELAY_S = 4;
const DEFAULT_FLASHBOOT = 'FLASHBOOT';
/** A day: an extraction of some million images. RunPod's own default is minutes. */
const DEFAULT_JOB_TIMEOUT_MS = 24 * 60 * 60 * 1_000;

const containerShape = {
  image: z.string().nullish(),
  args: z.string().nullish(),
  disk: z.number().nullish(),
  env: z.record(z.string(), z.string()).nullish(),
  ports: z.array(z.string()).nullish(),
  registry: z.string().nullish(),
};
const CONTAINER_KEYS = ['image', 'args', 'disk', 'env', 'ports', 'registry'] as const;

export const TEMPLATE_SCHEMA = z.object({ id: z.string(), name: z.string(), ...containerShape });
export type Template = z.infer<typeof TEMPLATE_SCHEMA>;

export const ENDPOINT_SCHEMA = z.object({
  id: z.string(),
  name: z.string(),
  ...containerShape,
  gpu: z
    .object({
      pools: z.array(z.string()).nullish(),
      count: z.number().nullish(),
      minCudaVersion: z.string().nullish(),
      allowedCudaVersions: z.array(z.string()).nullish(),
    })
    .nullish(),
  workers: z
    .object({ min: z.number().nullish(), max: z.number().nullish(), idleTimeout: z.number().nullish() })
    .nullish(),
  scaling: z.looseObject({ type: z.string() }).nullish(),
  flashboot: z.string().nullish(),
  timeout: z.number().nullish(),
  networkVolumes: z.array(z.string()).nullish(),
  dataCenterIds: z.array(z.string()).nullish(),
});
export type Endpoint = z.infer<typeof ENDPOINT_SCHEMA>;

/** What of a container a template describes and an endpoint takes over from it. */
export interface Container {
  image: string;
  args: string;
  disk: number;
  env: Readonly<Record<string, string>>;
  ports: readonly string[];
  registry: string | null;
}

export type Body = Readonly<Record<string, unknown>>;

export function containerOf(image: string, settings: DeploySettings): Container {
  const { DEPLOY_DISK_GB: disk, DEPLOY_REGISTRY_ID: registry = null, workerEnv: env } = settings;
  // No arguments: the image's own command is the exec form that gets SIGTERM.
  return { image, args: '', disk, env, ports: [], registry };
}

export function templateBody(name: string, container: Container): Body {
  return { name, ...container, serverless: true, category: 'NVIDIA', public: false };
}

export function newEndpointBody(name: string, templateId: string, settings: DeploySettings): Body {
  return {
    name,
    type: 'QUEUE',
    templateId,
    gpu: { pools: settings.DEPLOY_GPU_POOLS ?? DEFAULT_POOLS, count: 1, minCudaVersion: MIN_CUDA_VERSION },
    workers: { ...DEFAULT_WORKERS, ...workersOf(settings) },
    scaling: { type: 'QUEUE_DELAY', queueDelay: settings.DEPLOY_QUEUE_DELAY_S ?? DEFAULT_QUEUE_DELAY_S },
    flashboot: settings.DEPLOY_FLASHBOOT ?? DEFAULT_FLASHBOOT,
    timeout: settings.jobTimeoutMs ?? DEFAULT_JOB_TIMEOUT_MS,
    networkVolumes: settings.DEPLOY_NETWORK_VOLUMES ?? [],
    ...defined({ dataCenterIds: settings.DEPLOY_DATA_CENTERS }),
  };
}

/**
 * The fields of an endpoint that are to change, template apart: what a setting says and the endpoint has otherwise. What
 * no setting names stays as whoever runs the endpoint has set it; only a machine that cannot run the image is ruled out.
 */
export function endpointChanges(current: Endpoint, settings: DeploySettings): Body {
  const workers = workersOf(settings);
  const delay = settings.DEPLOY_QUEUE_DELAY_S;
  const wanted = defined({
    workers:
      Object.keys(workers).length === 0 ? undefined : { ...defined({ ...current.workers }), ...workers },
    scaling: delay === undefined ? undefined : { type: 'QUEUE_DELAY', queueDelay: delay },
    flashboot: settings.DEPLOY_FLASHBOOT,
    timeout: settings.jobTimeoutMs,
    networkVolumes: settings.DEPLOY_NETWORK_VOLUMES,
    dataCenterIds: settings.DEPLOY_DATA_CENTERS,
  });
  const changed = Object.entries(wanted).filter(
    ([key, value]) => !isSame(value, current[key as keyof Endpoint]),
  );
  return { ...Object.fromEntries(changed), ...gpuChange(current.gpu, settings.DEPLOY_GPU_POOLS) };
}

/** The same fields as the endpoint has them now: what takes a change back. */
export function undoOf(changes: Body, current: Endpoint): Body {
  const former = Object.keys(changes).map((key): [string, unknown] => [key, current[key as keyof Endpoint]]);
  const { gpu, ...rest } = Object.fromEntries(former);
  if (gpu === undefined || gpu === null) return defined(rest);
  // An empty version takes the floor away; null is not allowed here.
  const floor = current.gpu?.minCudaVersion ?? '';
  return { ...defined(rest), gpu: { ...defined({ ...current.gpu }), minCudaVersion: floor } };
}

/** The container as it is before a change; what the answer does not say is not said here either. */
export function formerContainer(current: Template | Endpoint): Partial<Container> {
  const former = defined(Object.fromEntries(CONTAINER_KEYS.map((key) => [key, current[key]])));
  // Null is a value here: no credentials.
  return current.registry === null ? { ...former, registry: null } : former;
}

/** Does it run this already, as far as the answer says? An answer without an image says nothing. */
export function runsContainer(current: Template | Endpoint, container: Container): boolean {
  if (current.image === undefined || current.image === null) return false;
  return CONTAINER_KEYS.every((key) => current[key] === undefined || isSame(container[key], current[key]));
}

function workersOf(settings: DeploySettings): Record<string, number> {
  return defined({
    min: settings.DEPLOY_WORKERS_MIN,
    max: settings.DEPLOY_WORKERS_MAX,
    idleTimeout: settings.DEPLOY_IDLE_TIMEOUT_S,
  }) as Record<string, number>;
}

function gpuChange(current: Endpoint['gpu'], pools: readonly string[] | undefined): Body {
  const allowed = current?.allowedCudaVersions ?? [];
  const floor = current?.minCudaVersion;
  const isLow = floor === undefined || floor === null || floor === '' || compareVersions(floor) < 0;
  const change = defined({
    pools: pools === undefined || isSame(pools, current?.pools) ? undefined : pools,
    minCudaVersion: isLow || allowed.length > 0 ? MIN_CUDA_VERSION : undefined,
    // A set of versions and a floor exclude each other.
    allowedCudaVersions: allowed.length > 0 ? [] : undefined,
  });
  return Object.keys(change).length === 0 ? {} : { gpu: change };
}

/** Below, at or above what the images need; by number: 12.11 is above 12.8. */
function compareVersions(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [ourMajor = 0, ourMinor = 0] = MIN_CUDA_VERSION.split('.').map(Number);
  return major - ourMajor || minor - ourMinor;
}

function defined(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && value !== null),
  );
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

/** With its keys in order, and what is empty as null. */
function sorted(value: unknown): unknown {
  if (value === undefined || value === '') return null;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
