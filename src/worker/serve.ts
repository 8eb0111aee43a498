import { randomUUID } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { readSettings } from '../base/settings.ts';
import { readArguments, type Arguments } from './command-line.ts';
import { runEndpoint } from './endpoint/endpoint.ts';
import { openLog, runAsProgram, type ProgramOptions } from './program.ts';
import { connectRunPod } from './runpod-platform.ts';
import { stopOnSignals } from './signals.ts';
import type { AnyHandler, Job, JobContext } from './types.ts';
import { runWorker, type WorkerOptions, type WorkerSettings } from './worker.ts';

export type ServeOptions = WorkerOptions;

/** What still holds the process after its last word is not worth waiting for: a handler that never ends. */
const LINGER_MS = 1_000;

/**
 * Serves the handler as the environment says: with `RUNPOD_WEBHOOK_GET_JOB` as a serverless worker until it is told to
 * stop; with `--rp_serve_api` as the same endpoint on this machine; else once, for the job of `--test_input` or
 * `test_input.json`. docs/worker.md has what is guaranteed.
 * @returns the exit code, which is also set; after a worker's end the process is not kept alive by what a handler left.
 */
export async function serve<I, O>(
  handler: AnyHandler<I, O>,
  options: ServeOptions = {},
  program: ProgramOptions = {},
): Promise<number> {
  // The input is the platform's: a handler says what it expects of it and parses it.
  const any = (job: Job, context: JobContext): unknown => handler(job as Job<I>, context);
  Object.defineProperty(any, 'constructor', { value: handler.constructor });
  const code = await serveAs(any, options, program);
  process.exitCode = code;
  return code;
}

async function serveAs(handler: AnyHandler, options: ServeOptions, program: ProgramOptions): Promise<number> {
  let log;
  try {
    const settings = program.settings ?? readSettings();
    const args = readArguments(program.argv ?? process.argv.slice(2));
    const isWorker = settings.RUNPOD_WEBHOOK_GET_JOB !== undefined;
    if (!isWorker && !args.serveApi) return await runAsProgram(handler, { ...program, settings });
    log = openLog(args.level, { ...program, settings });
    using stop = stopOnSignals(log, {
      signals: program.signals,
      exit: (code) => process.exit(code),
      child: program.signals === undefined ? process : undefined,
    });
    const parts = { settings, log, stop: stop.signal };
    const code = isWorker
      ? await workOnRunPod(handler, options, parts)
      : await workLocally(handler, options, { ...parts, args, stdout: program.stdout });
    if (program.signals === undefined) setTimeout(() => process.exit(code), LINGER_MS).unref();
    return code;
  } catch (error) {
    if (log === undefined)
      process.stderr.write(`${JSON.stringify({ level: 'error', message: messageOf(error) })}\n`);
    else log.error('The worker did not start', { error });
    return 1;
  }
}

interface ServeParts {
  settings: WorkerSettings;
  log: Log;
  stop: AbortSignal;
}

function workOnRunPod(
  handler: AnyHandler,
  options: ServeOptions,
  { settings, log, stop }: ServeParts,
): Promise<number> {
  const workerId = settings.RUNPOD_POD_ID ?? randomUUID();
  return runWorker(handler, options, {
    platform: connectRunPod(settings, workerId, log),
    identity: { workerId, hostname: settings.RUNPOD_POD_HOSTNAME },
    jobTimeoutMs: settings.JOB_TIMEOUT_MS,
    log,
    stop,
  });
}

interface LocalParts extends ServeParts {
  args: Arguments;
  stdout: ProgramOptions['stdout'];
}

/** The first line on standard output says where, for whoever started this with any port that is free. */
function workLocally(
  handler: AnyHandler,
  options: ServeOptions,
  { args, settings, stdout, ...parts }: LocalParts,
): Promise<number> {
  const write = stdout ?? ((text: string) => void process.stdout.write(text));
  const { host, port, concurrency = options.concurrency } = args;
  const { JOB_TIMEOUT_MS: executionTimeoutMs, LOCAL_ENDPOINT_KEY: key } = settings;
  return runEndpoint(
    handler,
    { ...options, ...(concurrency === undefined ? {} : { concurrency }) },
    {
      ...parts,
      host,
      port,
      key,
      workerId: settings.RUNPOD_POD_ID ?? 'local',
      onListening: (url) => write(`${JSON.stringify({ url, base_url: `${url}/v2` })}\n`),
      limits: executionTimeoutMs === undefined ? {} : { executionTimeoutMs },
    },
  );
}

/**
 * Serves the handler where the module of this `import.meta.url` is what Node was started with, and does nothing where it
 * was imported.
 */
export async function runIfMain<I, O>(
  moduleUrl: string,
  handler: AnyHandler<I, O>,
  options: ServeOptions = {},
): Promise<void> {
  if (isMain(moduleUrl)) await serve(handler, options);
}

function isMain(moduleUrl: string): boolean {
  const started = process.argv[1];
  if (started === undefined) return false;
  try {
    return realpathSync(started) === realpathSync(fileURLToPath(moduleUrl));
  } catch {
    return false;
  }
}
