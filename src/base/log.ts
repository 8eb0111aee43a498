import { pino, type Logger } from 'pino';

import { redact, redactValue } from './redact.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

/** A fixed message plus fields. Secrets and signed urls are redacted by construction, in both. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose every line carries these fields, such as the job's id. */
  child(fields: LogFields): Log;
}

export interface LogOptions {
  level?: LogLevel;
  /** One JSON line an entry, or readable lines. */
  format?: 'json' | 'text';
  /** Where lines go; standard error by default, so that an output on standard output stays clean. */
  write?: (line: string) => void;
}

/** Values longer than this are cut: a log line is for reading. */
const MAX_VALUE_CHARS = 4_000;

export function createLog(options: LogOptions = {}): Log {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const level = options.level ?? 'info';
  const stream = { write: options.format === 'text' ? (line: string) => write(readable(line)) : write };
  return wrap(
    pino(
      { level, messageKey: 'message', base: null, formatters: { level: (label) => ({ level: label }) } },
      stream,
    ),
  );
}

/** A log that goes nowhere. */
export const SILENT_LOG: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT_LOG,
};

function wrap(logger: Logger): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      if (!logger.isLevelEnabled(level)) return;
      logger[level](fields === undefined ? {} : cut(redactValue(fields)), cutText(redact(message)));
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(logger.child(cut(redactValue(fields)))),
  };
}

function cutText(text: string): string {
  return text.length > MAX_VALUE_CHARS
    ? `${text.slice(0, MAX_VALUE_CHARS)}... (${String(text.length)} characters)`
    : text;
}

function cut(fields: unknown): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields as Record<string, unknown>)) {
    out[key] = typeof value === 'string' ? cutText(value) : value;
  }
  return out;
}

function readable(line: string): string {
  const { level, time, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = new Date(Number(time)).toISOString().slice(11, 23);
  const rest = Object.entries(fields).map(
    ([k, v]) => ` ${k}=${typeof v === 'string' ? v : JSON.stringify(v)}`,
  );
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${String(message)}${rest.join('')}\n`;
}
