import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { InputError, isError, messageOf } from '../base/errors.ts';
import { createLog, type Log, type LogLevel } from '../base/log.ts';
import { shapeOf } from '../base/parse-input.ts';
import { readSettings } from '../base/settings.ts';
import { readArguments } from './command-line.ts';
import { invoke } from './invoke.ts';
import { toJson } from './output.ts';
import { stopOnSignals, type SignalSource } from './signals.ts';
import { isStream } from './stream.ts';
import type { AnyHandler, Handler } from './types.ts';
import type { WorkerSettings } from './worker.ts';

const INPUT_FILE = 'test_input.json';
/** Of the ten seconds that a container usually gets between SIGTERM and SIGKILL; the rest is for the output. */
const GRACE_MS = 8_000;

export interface ProgramOptions {
  /** Arguments after the script's name. */
  argv?: readonly string[];
  /** The folder where `test_input.json` is looked for. */
  cwd?: string;
  /** Gets the output, and nothing else. */
  stdout?: (text: string) => void;
  /** Gets the log, a line at a time. */
  stderr?: (text: string) => void;
  signals?: SignalSource;
  settings?: WorkerSettings;
}

/**
 * Runs the handler once, as a program: takes the job from `--test_input JSON` or else from `test_input.json` in the
 * working folder, prints the output as one JSON document. SIGTERM and SIGINT abort the job's signal (`shutdown`), and
 * the handler is given its time.
 * @returns the exit code: 0, or 1 where there is no job, or it failed. What failed is printed as `{"error": "..."}`.
 */
export async function runAsProgram<O>(
  handler: AnyHandler<unknown, O>,
  options: ProgramOptions = {},
): Promise<number> {
  const write = options.stdout ?? ((text: string) => void process.stdout.write(text));
  try {
    const args = readArguments(options.argv ?? process.argv.slice(2));
    const log = openLog(args.level, options);
    const output = await runJob(
      handler,
      await readJob(args.testInput, options.cwd ?? process.cwd()),
      log,
      options,
    );
    write(`${output.json}\n`);
    return output.failed ? 1 : 0;
  } catch (error) {
    write(`${JSON.stringify({ error: messageOf(error) })}\n`);
    return 1;
  }
}

interface LocalJob {
  id: string;
  input: unknown;
}

async function runJob(
  handler: AnyHandler,
  job: LocalJob,
  log: Log,
  options: ProgramOptions,
): Promise<{ json: string; failed: boolean }> {
  using stop = stopOnSignals(log, { signals: options.signals, graceMs: GRACE_MS });
  const ofJob = log.child({ requestId: job.id });
  try {
    const output = await invoke(collected(handler), job.input, {
      id: job.id,
      signal: stop.signal,
      log,
      onProgress: (progress) => ofJob.info('Progress', { progress }),
    });
    return { json: toJson(output), failed: hasError(output) };
  } catch (error) {
    ofJob.error('Job failed', { error });
    throw error;
  }
}

/** A generator's output is the list of its pieces. */
function collected(handler: AnyHandler): Handler {
  return async (job, context) => {
    const output = await handler(job, context);
    return isStream(output) ? await Array.fromAsync(output) : output;
  };
}

function hasError(output: unknown): boolean {
  if (output === null || typeof output !== 'object' || !('error' in output)) return false;
  return output.error !== null && output.error !== undefined;
}

export function openLog(level: LogLevel | undefined, options: ProgramOptions): Log {
  const settings = options.settings ?? readSettings();
  const onTerminal =
    options.stderr === undefined && process.stderr.isTTY && settings.RUNPOD_ENDPOINT_ID === undefined;
  return createLog({
    level: level ?? settings.LOG_LEVEL ?? settings.RUNPOD_LOG_LEVEL ?? settings.RUNPOD_DEBUG_LEVEL ?? 'info',
    format: onTerminal ? 'text' : 'json',
    ...(options.stderr === undefined ? {} : { write: options.stderr }),
  });
}

async function readJob(testInput: string | undefined, cwd: string): Promise<LocalJob> {
  if (testInput !== undefined) return parseJob(testInput, '--test_input');
  const path = join(cwd, INPUT_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const missing = isError(error) && (error as NodeJS.ErrnoException).code === 'ENOENT';
    const message = missing ? 'is missing' : `cannot be read: ${messageOf(error)}`;
    const issue = { key: path, message: `${message}; give the job there, or with --test_input JSON` };
    throw new InputError([issue], { cause: error });
  }
  return parseJob(text, path);
}

/** The parser's own message quotes the text, which may hold keys: it is not repeated. */
function parseJob(text: string, source: string): LocalJob {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    throw new InputError([{ key: source, message: `expected JSON, found ${shapeOf(text)} that is none` }]);
  }
  const job = value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined;
  if (job === undefined || !('input' in job) || job.input === null) {
    throw new InputError([{ key: source, message: 'expected {"input": {...}}, found no input' }]);
  }
  return { id: 'id' in job && typeof job.id === 'string' ? job.id : randomUUID(), input: job.input };
}
