import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { InputError, isError, messageOf, StoppedError } from '../base/errors.ts';
import { createLog, type Log, type LogLevel } from '../base/log.ts';
import { shapeOf } from '../base/parse-input.ts';
import { readSettings, type Settings } from '../base/settings.ts';
import { invoke } from './invoke.ts';
import { toJson } from './output.ts';
import type { Handler } from './types.ts';

const INPUT_FILE = 'test_input.json';
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

type StopSignal = (typeof STOP_SIGNALS)[number];

/** Where signals come from: the process, or what a test gives. */
export interface SignalSource {
  on(signal: StopSignal, listener: (signal: StopSignal) => void): unknown;
  off(signal: StopSignal, listener: (signal: StopSignal) => void): unknown;
}

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
  settings?: Pick<Settings, 'LOG_LEVEL' | 'RUNPOD_ENDPOINT_ID'>;
}

/**
 * Runs the handler once, as a program: takes the job from `--test_input JSON` or else from `test_input.json` in the
 * working folder, prints the output as one JSON document. SIGTERM and SIGINT abort the job's signal (`shutdown`), and
 * the handler is given its time.
 * @returns the exit code: 0, or 1 where there is no job, or it failed. What failed is printed as `{"error": "..."}`.
 */
export async function runAsProgram<O>(
  handler: Handler<unknown, O>,
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

/**
 * Runs the handler as a program where the module of this `import.meta.url` is what Node was started with, and does
 * nothing where it was imported. The exit code is set, not forced: the process ends when all is written and closed.
 */
export async function runIfMain<O>(moduleUrl: string, handler: Handler<unknown, O>): Promise<void> {
  if (isMain(moduleUrl)) process.exitCode = await runAsProgram(handler);
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

interface LocalJob {
  id: string | undefined;
  input: unknown;
}

async function runJob<O>(
  handler: Handler<unknown, O>,
  job: LocalJob,
  log: Log,
  options: ProgramOptions,
): Promise<{ json: string; failed: boolean }> {
  const signals = options.signals ?? process;
  const stop = new AbortController();
  const onSignal = (signal: StopSignal): void => {
    log.warn('Stopping: the platform asked for it', { signal });
    stop.abort(new StoppedError('shutdown', `stopped by ${signal}`));
  };
  for (const signal of STOP_SIGNALS) signals.on(signal, onSignal);
  try {
    const output = await invoke(handler, job.input, {
      ...(job.id === undefined ? {} : { id: job.id }),
      signal: stop.signal,
      log,
      onProgress: (progress) => log.info('Progress', { progress }),
    });
    return { json: toJson(output), failed: hasError(output) };
  } catch (error) {
    log.error('Job failed', { error });
    throw error;
  } finally {
    for (const signal of STOP_SIGNALS) signals.off(signal, onSignal);
  }
}

function hasError(output: unknown): boolean {
  if (output === null || typeof output !== 'object' || !('error' in output)) return false;
  return output.error !== null && output.error !== undefined;
}

interface Arguments {
  testInput: string | undefined;
  level: LogLevel | undefined;
}

/** Options of the full worker, and what Node's own wrappers add, are let through. */
function readArguments(argv: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...argv],
    options: { test_input: { type: 'string' }, rp_log_level: { type: 'string' } },
    strict: false,
    allowPositionals: true,
  });
  return { testInput: textOf(values.test_input, '--test_input'), level: levelOf(values.rp_log_level) };
}

function textOf(value: string | boolean | undefined, name: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw new InputError([{ key: name, message: 'expected a value behind it, found nothing' }]);
}

function levelOf(value: string | boolean | undefined): LogLevel | undefined {
  const name = textOf(value, '--rp_log_level')?.toLowerCase();
  if (name === undefined) return undefined;
  const level = LEVELS.find((known) => known === name);
  if (level !== undefined) return level;
  throw new InputError([
    { key: '--rp_log_level', message: `expected one of ${LEVELS.join(', ')}, in any case` },
  ]);
}

function openLog(level: LogLevel | undefined, options: ProgramOptions): Log {
  const settings = options.settings ?? readSettings();
  const onTerminal =
    options.stderr === undefined && process.stderr.isTTY && settings.RUNPOD_ENDPOINT_ID === undefined;
  return createLog({
    level: level ?? settings.LOG_LEVEL ?? 'info',
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
  return { id: 'id' in job && typeof job.id === 'string' ? job.id : undefined, input: job.input };
}
