import { HandlerError, messageOf } from '../../src/base/errors.ts';
import { sleep } from '../../src/flow/time.ts';
import type { Body } from './bodies.ts';
import type { RunPod, SmokeJob } from './runpod.ts';

export interface SmokeOptions {
  runpod: RunPod;
  endpointId: string;
  /** The image whose worker must have run the job. */
  image: string;
  /** The job's input: the image's own test input. */
  input: unknown;
  /** How long a worker may take to come up. */
  workerWaitMs: number;
  /** How long the job may run then. */
  timeoutMs: number;
  pollMs: number;
  say: (line: string) => void;
  signal: AbortSignal;
}

const WAITING = 'IN_QUEUE';
const RUNNING = 'IN_PROGRESS';

/**
 * Sends one small job, which also brings a worker up where none is kept running, and waits for its end. A worker of the
 * image before may still be there and take it: then another is sent.
 * @throws HandlerError `smoke_failed` where no worker comes up, or the job does not succeed in time; the job is
 *   cancelled then.
 */
export async function smokeTest(options: SmokeOptions): Promise<void> {
  const { workerWaitMs, say } = options;
  const deadline = performance.now() + workerWaitMs;
  for (;;) {
    const job = await runOnce(options, deadline);
    if (!(await ranOnFormer(job, options))) return;
    if (performance.now() > deadline)
      throw failed(`after ${seconds(workerWaitMs)} the workers still run the image before`);
    say('a worker of the image before took the job; sending another');
    await sleep(options.pollMs, options.signal);
  }
}

/** The platform itself is to end the job where this program no longer can. */
export function smokeBody(input: unknown, workerWaitMs: number, timeoutMs: number): Body {
  return { input, policy: { executionTimeout: timeoutMs, ttl: workerWaitMs + timeoutMs } };
}

async function runOnce(options: SmokeOptions, queueDeadline: number): Promise<SmokeJob> {
  const { runpod, endpointId, input, timeoutMs, workerWaitMs, say } = options;
  const sent = await runpod.run(endpointId, smokeBody(input, workerWaitMs, timeoutMs));
  say(`smoke job ${sent.id} is queued`);
  try {
    return await followToEnd(sent, { ...options, queueDeadline });
  } catch (error) {
    await runpod.cancel(endpointId, sent.id).catch(() => undefined);
    throw error;
  }
}

async function followToEnd(
  sent: SmokeJob,
  options: SmokeOptions & { queueDeadline: number },
): Promise<SmokeJob> {
  const { runpod, endpointId, timeoutMs, pollMs, say, signal, queueDeadline } = options;
  let runDeadline: number | undefined;
  let told = '';
  for (;;) {
    const job = await runpod.job(endpointId, sent.id);
    if (job.status === RUNNING) runDeadline ??= performance.now() + timeoutMs;
    else if (job.status !== WAITING) return succeeded(job);
    if (job.status === WAITING) {
      const state = await workerStates(options);
      if (state !== told) say(`waiting for a worker: ${state}`);
      told = state;
      if (performance.now() > queueDeadline) throw failed(`no worker took the job: ${state}`);
    } else if (runDeadline !== undefined && performance.now() > runDeadline) {
      throw failed(`the job still runs after ${seconds(timeoutMs)}`);
    }
    await sleep(pollMs, signal);
  }
}

/** `1 initializing, 2 throttled`. What is not known is no reason to stop waiting. */
async function workerStates({ runpod, endpointId }: SmokeOptions): Promise<string> {
  const counts = await runpod.health(endpointId).catch((error: unknown) => messageOf(error));
  if (typeof counts === 'string') return counts;
  const present = Object.entries(counts).filter(([, count]) => count > 0);
  return present.length === 0
    ? 'none yet'
    : present.map(([state, count]) => `${String(count)} ${state}`).join(', ');
}

function succeeded(job: SmokeJob): SmokeJob {
  if (job.status !== 'COMPLETED') throw failed(`the job ended as ${job.status}: ${reasonOf(job.error)}`);
  const output = job.output !== null && typeof job.output === 'object' ? job.output : {};
  const { status, error, failed_count: failedCount } = output as Record<string, unknown>;
  if (error !== undefined || status === 'error' || status === 'FAILED')
    throw failed(`the job says: ${reasonOf(error)}`);
  if (typeof failedCount === 'number' && failedCount > 0)
    throw failed(`${String(failedCount)} of the job's images failed`);
  return job;
}

/** Where the platform does not say which worker ran it, or it is gone by now, there is nothing to hold against it. */
async function ranOnFormer(job: SmokeJob, options: SmokeOptions): Promise<boolean> {
  const { runpod, endpointId, image, say } = options;
  try {
    const worker = (await runpod.workers(endpointId)).find(({ id }) => id === job.workerId);
    if (worker === undefined) return false;
    return (
      worker.isStale === true ||
      (worker.image !== undefined && worker.image !== null && worker.image !== image)
    );
  } catch (error) {
    options.signal.throwIfAborted();
    say(`which image ran the job is not known: ${messageOf(error)}`);
    return false;
  }
}

function reasonOf(error: unknown): string {
  if (error === undefined || error === null) return 'no reason is given';
  return typeof error === 'string' ? error : JSON.stringify(error);
}

function seconds(ms: number): string {
  return `${String(Math.round(ms / 1_000))} s`;
}

function failed(why: string): HandlerError {
  return new HandlerError('smoke_failed', `the smoke job failed: ${why}`);
}
