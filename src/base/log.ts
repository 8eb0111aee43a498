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
/** And so are longer lists. */
const MAX_ITEMS = 100;
/** Keys of the line itself: a field of that name would be taken for it. */
const LINE_KEYS: ReadonlySet<string> = new Set(['level', 'time', 'message']);

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
  return Object.fromEntries(
    Object.entries(fields as Record<string, unknown>).map(([key, value]) => [
      LINE_KEYS.has(key) ? `${key}_` : key,
      cutValue(value),
    ]),
  );
}

function cutValue(value: unknown): unknown {
  if (typeof value === 'string') return cutText(value);
  if (value === null || typeof value !== 'object') return value;
  if (!Array.isArray(value))
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, cutValue(v)]));
  const items: unknown[] = value.slice(0, MAX_ITEMS).map(cutValue);
  return value.length > MAX_ITEMS ? [...items, `... (${String(value.length)} items)`] : items;
}

function readable(line: string): string {
  const { level, time, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = new Date(Number(time)).toISOString().slice(11, 23);
  const rest = Object.entries(fields).map(([k, v]) => ` ${k}=${plain(v)}`);
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${String(message)}${rest.join('')}\n`;
}

/** A string as it is, where it cannot be taken for anything else: no blanks, quotes or control characters. */
function plain(value: unknown): string {
  return typeof value === 'string' && /^[^\s"\p{Cc}]+$/u.test(value) ? value : JSON.stringify(value);
}
