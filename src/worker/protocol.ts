import { SettingsError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';

/** The variables that RunPod sets in its workers. */
export type ProtocolSettings = Pick<
  Settings,
  | 'RUNPOD_WEBHOOK_GET_JOB'
  | 'RUNPOD_WEBHOOK_POST_OUTPUT'
  | 'RUNPOD_WEBHOOK_POST_STREAM'
  | 'RUNPOD_WEBHOOK_PING'
>;

/** The version of this package, as the platform is told it: a test compares it with package.json. */
export const WORKER_VERSION = '0.1.0';
export const USER_AGENT = `gpu-handlers/${WORKER_VERSION} (node ${process.versions.node}; ${process.platform})`;

const TAKE_PATH = '/job-take/';
/** Of a reason, as the platform's own runtime cuts it. */
const MAX_REASON_CHARS = 256;

/** Every address of one worker. Absent where the platform did not name it. */
export interface Addresses {
  /** One job by the single address, several by the batch address. */
  take(count: number, busy: boolean): string;
  /** Undefined where the address of a take has another form: what would be asked is a job, and that would be lost. */
  stops: string | undefined;
  done(jobId: string, isStream: boolean): string;
  stream: ((jobId: string) => string) | undefined;
  /** Still without the ids of jobs: withJobIds. */
  ping: string | undefined;
  unhealthy: ((check: string, reason: string) => string) | undefined;
}

/**
 * The addresses with their tokens filled in. `$RUNPOD_POD_ID` is the worker's id everywhere; `$ID` is the job's where an
 * address is a job's, and else the worker's. The query part may be missing.
 * @throws SettingsError that names the variable that is missing.
 */
export function createAddresses(settings: ProtocolSettings, workerId: string): Addresses {
  const take = required(settings, 'RUNPOD_WEBHOOK_GET_JOB');
  const done = required(settings, 'RUNPOD_WEBHOOK_POST_OUTPUT');
  const { RUNPOD_WEBHOOK_POST_STREAM: stream, RUNPOD_WEBHOOK_PING: ping } = settings;
  const own = (template: string): string => fill(template, workerId, workerId);
  const ofJob = (template: string, jobId: string): string => fill(template, workerId, jobId);
  return {
    take: (count, busy) => {
      const params = { job_in_progress: busy ? '1' : '0' };
      if (count <= 1) return withQuery(own(take), params);
      return withQuery(own(swap(take, '/job-take-batch')), { batch_size: String(count), ...params });
    },
    stops: take.includes(TAKE_PATH) ? own(swap(take, '/job-stop')) : undefined,
    done: (jobId, isStream) => withQuery(ofJob(done, jobId), { isStream: String(isStream) }),
    stream:
      // As the platform's own runtime has it: it says `true` with the final result alone.
      stream === undefined ? undefined : (jobId) => withQuery(ofJob(stream, jobId), { isStream: 'false' }),
    ping: ping === undefined ? undefined : own(ping),
    unhealthy:
      ping === undefined
        ? undefined
        : (check, reason) =>
            withQuery(own(ping), {
              status: 'unhealthy',
              check,
              reason: reason.slice(0, MAX_REASON_CHARS).toWellFormed(),
              runpod_version: WORKER_VERSION,
            }),
  };
}

/** The address of a ping that names the jobs which this worker holds, and none where it is idle. */
export function withJobIds(ping: string, ids: readonly string[]): string {
  const held = ids.length === 0 ? {} : { job_id: ids.join(',') };
  return withQuery(ping, { ...held, runpod_version: WORKER_VERSION });
}

/** The key goes as it is, with no `Bearer` before it. Content type as the platform's own runtime sends it. */
export function takeHeaders(apiKey: string | undefined): Record<string, string> {
  return { ...ownHeaders(apiKey), 'content-type': 'application/json' };
}

/** Of one request about one job: another job's id never goes along. */
export function postHeaders(apiKey: string | undefined, jobId: string): Record<string, string> {
  return {
    ...ownHeaders(apiKey),
    'content-type': 'application/x-www-form-urlencoded',
    'x-request-id': encodeURIComponent(jobId),
  };
}

function ownHeaders(apiKey: string | undefined): Record<string, string> {
  return { 'user-agent': USER_AGENT, ...(apiKey === undefined ? {} : { authorization: apiKey }) };
}

function required(
  settings: ProtocolSettings,
  name: 'RUNPOD_WEBHOOK_GET_JOB' | 'RUNPOD_WEBHOOK_POST_OUTPUT',
): string {
  const value = settings[name];
  if (value !== undefined) return value;
  throw new SettingsError(
    `${name} is missing: RunPod sets it in its workers, and no result can be posted without it`,
  );
}

/** Replaced by functions: an id with a `$` in it is no pattern. */
function fill(template: string, workerId: string, id: string): string {
  return template
    .replaceAll('$RUNPOD_POD_ID', () => encodeURIComponent(workerId))
    .replaceAll('$ID', () => encodeURIComponent(id));
}

function swap(take: string, path: string): string {
  return take.replace(TAKE_PATH, () => `${path}/`);
}

function withQuery(address: string, params: Record<string, string>): string {
  const query = Object.entries(params)
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll('%2C', ',')}`)
    .join('&');
  return `${address}${address.includes('?') ? '&' : '?'}${query}`;
}
