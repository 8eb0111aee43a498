import { HandlerError, HttpError, InputError, isError, StoppedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { abortable } from '../flow/time.ts';
import { invoke } from './invoke.ts';
import type { JobControl } from './job-control.ts';
import type { Platform, TakenJob } from './platform.ts';
import { createProgress } from './progress.ts';
import { bodyOf, failureOf, resultOf, shortly, type Result, type WorkerIdentity } from './result.ts';
import { isStream, streamOutput } from './stream.ts';
import type { AnyHandler } from './types.ts';

export interface RunJobParts {
  handler: AnyHandler;
  platform: Platform;
  identity: WorkerIdentity;
  log: Log;
  /** Where the job says nothing itself. */
  timeoutMs: number | undefined;
  /** How long a handler has to end by itself after a time-out. */
  windUpMs: number;
  aggregateStream: boolean;
  /** Told of every result before it is posted: whether the worker is to be replaced after it. */
  stopPod: (asked: boolean) => Promise<boolean>;
}

/** The longest that the platform lets a job run. */
const MAX_TIMEOUT_MS = 7 * 24 * 3_600_000;
/** A result outlives a job's time by this at least: the platform may be slow to end it. */
const MIN_PATIENCE_MS = 60_000;
/** And without a time-out: the platform keeps results for so long. */
const PATIENCE_MS = 30 * 60_000;
/** What setTimeout can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Progress that hangs must not hold a result back for longer. */
const FLUSH_MS = 10_000;
/** Of a job that was stopped: the process may not have long. */
const STOPPED_FLUSH_MS = 1_000;

/**
 * Runs one job to its end and posts exactly one final result, whatever the handler does; none for a job that was
 * cancelled, or that another worker was given meanwhile. Never rejects.
 */
export async function runJob(job: TakenJob, control: JobControl, parts: RunJobParts): Promise<void> {
  const { platform, log: base, identity } = parts;
  const log = base.child({ requestId: job.id });
  const begun = performance.now();
  const known = job.policy?.executionTimeout ?? parts.timeoutMs;
  const timeoutMs = Math.min(known ?? MAX_TIMEOUT_MS, MAX_TIMEOUT_MS);
  const timer = setTimeout(
    () => {
      const reason = new StoppedError('timed_out', `the job ran longer than its ${String(timeoutMs)} ms`);
      control.stop({ reason, handlerMs: parts.windUpMs });
    },
    Math.min(Math.max(0, timeoutMs - (begun - control.since)), MAX_TIMER_MS),
  );
  const post = (body: string, late: AbortSignal): Promise<void> =>
    platform.progress({ jobId: job.id, body, signal: AbortSignal.any([control.delivery, late]) });
  const progress = createProgress({ post, log });
  const isStream = parts.handler.constructor.name === 'AsyncGeneratorFunction';
  const state = { isStream, ended: new AbortController() };
  try {
    const result = await settle({ job, control, parts, log, state, report: progress.report });
    control.settle();
    clearTimeout(timer);
    await progress.finish(flushMs(control));
    if (result === undefined) {
      log.info('Job handed over: another worker has it and posts its result', {
        ms: Math.round(performance.now() - begun),
      });
      return;
    }
    if (control.cancelled) {
      log.info('Job cancelled: no result is posted', { ms: Math.round(performance.now() - begun) });
      return;
    }
    const leftMs = timeoutMs - (performance.now() - control.since);
    const patienceMs = known === undefined ? PATIENCE_MS : Math.max(MIN_PATIENCE_MS, leftMs);
    await deliver(result, { job, control, parts, log, patienceMs, isStream: state.isStream });
    log.info(result.failed ? 'Job failed' : 'Job done', { ms: Math.round(performance.now() - begun) });
  } catch (error) {
    if (control.cancelled) log.info('Job cancelled while its result was being delivered');
    else log.error('The result was not delivered: it is lost', { error, worker: identity.workerId });
  } finally {
    clearTimeout(timer);
    control.dispose();
  }
}

function flushMs({ signal }: JobControl): number {
  return signal.aborted ? STOPPED_FLUSH_MS : FLUSH_MS;
}

interface Running {
  job: TakenJob;
  control: JobControl;
  parts: RunJobParts;
  log: Log;
  /** `ended` when the handler is waited for no longer: no piece of its stream is posted from then on. */
  state: { isStream: boolean; ended: AbortController };
  report: (value: unknown) => void;
}

/**
 * The job's outcome as a result, however the handler ends, or when it is waited for no longer. Undefined where the result
 * is another worker's to post: of the two the platform knows one id, and an error of this one would end the job of both.
 */
async function settle(running: Running): Promise<Result | undefined> {
  const { job, control, parts, log } = running;
  try {
    if (job.input === undefined || job.input === null)
      throw new InputError([{ key: 'input', message: 'is missing' }]);
    const work = callHandler(running);
    work.catch(() => undefined);
    return resultOf(await Promise.race([work, control.givenUp]), job.input);
  } catch (error) {
    const stopped = isError(error) && error instanceof StoppedError;
    if (!control.cancelled) log[stopped ? 'warn' : 'error']('Job ended with an error', { error });
    running.state.ended.abort(error);
    if (stopped && error.answeredElsewhere) return undefined;
    const told = stopped && error.code === 'shutdown' ? onShutdown(error) : error;
    const result = failureOf(told, job.input, parts.identity);
    if (running.state.isStream) await streamFailure(result, running);
    return result;
  }
}

async function callHandler({ job, control, parts, state, report }: Running): Promise<unknown> {
  const { platform, handler, aggregateStream, log } = parts;
  const { delivery, signal } = control;
  const consume = async (...[given, context]: Parameters<AnyHandler>): Promise<unknown> => {
    const output = await handler(given, context);
    if (!isStream(output)) return output;
    state.isStream = true;
    const ended = AbortSignal.any([delivery, state.ended.signal]);
    const post = (body: string): Promise<void> =>
      platform.stream({ jobId: job.id, body, signal: ended, patienceMs: PATIENCE_MS });
    return streamOutput(output, { post, aggregate: aggregateStream, signal });
  };
  return invoke(consume, job.input, { id: job.id, signal, log, onProgress: report });
}

/** Those who read the stream learn of the failure where they read. The final result says it again. */
async function streamFailure(result: Result, { job, control, parts, log }: Running): Promise<void> {
  if (control.cancelled) return;
  const body = bodyOf(result, false);
  const posted = parts.platform.stream({
    jobId: job.id,
    body,
    signal: control.delivery,
    patienceMs: flushMs(control),
  });
  await abortable(posted, AbortSignal.timeout(flushMs(control))).catch((error: unknown) => {
    log.warn('The stream was not told of the failure', { reason: shortly(error) });
  });
}

interface Delivering {
  job: TakenJob;
  control: JobControl;
  parts: RunJobParts;
  log: Log;
  patienceMs: number;
  isStream: boolean;
}

/** Until it is taken. Where it is refused for good, a small error takes its place that says why. */
async function deliver(
  result: Result,
  { job, control, parts, log, patienceMs, isStream }: Delivering,
): Promise<void> {
  const stopPod = await parts.stopPod(result.refresh);
  const body = bodyOf(result, stopPod);
  const delivery = {
    jobId: job.id,
    isStream,
    timedOut: control.signal.aborted && (control.signal.reason as StoppedError).code === 'timed_out',
    patienceMs,
    signal: control.delivery,
    onRetry: (error: HttpError, delayMs: number) => {
      log.warn('The result was not taken yet', { reason: error.message, delay_ms: Math.round(delayMs) });
    },
  };
  try {
    await parts.platform.done({ ...delivery, body });
  } catch (error) {
    if (!(error instanceof HttpError) || error.status === undefined || error.retryable) throw error;
    const message =
      `the platform refused the result of ${String(Buffer.byteLength(body))} bytes with status ` +
      `${String(error.status)}${error.status === 413 ? ': it is too large; store it elsewhere and return its address' : ''}`;
    log.error('The result was refused: an error is posted in its place', { status: error.status });
    const refused = failureOf(new HandlerError('result_refused', message), job.input, parts.identity);
    await parts.platform.done({ ...delivery, body: bodyOf(refused, stopPod) });
  }
}

/** The platform runs no job again by itself that was answered: whoever reads the error is told what to do. */
function onShutdown(error: StoppedError): StoppedError {
  const message = `${error.message}: the worker was told to stop before the job ended; submit it again (/retry)`;
  return new StoppedError('shutdown', message, { cause: error, retryable: true });
}
