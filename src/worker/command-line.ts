import { parseArgs } from 'node:util';

import { InputError } from '../base/errors.ts';
import type { LogLevel } from '../base/log.ts';

/** How a handler was started. */
export interface Arguments {
  testInput: string | undefined;
  level: LogLevel | undefined;
  /** Serve it as an endpoint on this machine. */
  serveApi: boolean;
  host: string;
  /** 0: any that is free. */
  port: number;
  /** Jobs at once on the local endpoint; undefined: as the handler's options say. */
  concurrency: number | undefined;
}

/** The platform's own conventions. */
const HOST = 'localhost';
const PORT = 8000;
const MAX_PORT = 65_535;
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

type Value = string | boolean | undefined;

/**
 * Options that are unknown here, and what Node's own wrappers add, are let through.
 * @throws InputError that names the option.
 */
export function readArguments(argv: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      test_input: { type: 'string' },
      rp_log_level: { type: 'string' },
      rp_serve_api: { type: 'boolean' },
      rp_api_host: { type: 'string' },
      rp_api_port: { type: 'string' },
      rp_api_concurrency: { type: 'string' },
    },
    strict: false,
    allowPositionals: true,
  });
  return {
    testInput: textOf(values.test_input, '--test_input'),
    level: levelOf(values.rp_log_level),
    serveApi: values.rp_serve_api !== undefined,
    host: textOf(values.rp_api_host, '--rp_api_host') ?? HOST,
    port: numberOf(values.rp_api_port, '--rp_api_port', { min: 0, max: MAX_PORT }) ?? PORT,
    concurrency: numberOf(values.rp_api_concurrency, '--rp_api_concurrency', {
      min: 1,
      max: Number.MAX_SAFE_INTEGER,
    }),
  };
}

function textOf(value: Value, name: string): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  throw new InputError([{ key: name, message: 'expected a value behind it, found nothing' }]);
}

function numberOf(
  value: Value,
  name: string,
  { min, max }: { min: number; max: number },
): number | undefined {
  const text = textOf(value, name);
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  const range =
    max === Number.MAX_SAFE_INTEGER ? `from ${String(min)} on` : `${String(min)} to ${String(max)}`;
  throw new InputError([{ key: name, message: `expected a whole number ${range}` }]);
}

function levelOf(value: Value): LogLevel | undefined {
  const name = textOf(value, '--rp_log_level')?.toLowerCase();
  if (name === undefined) return undefined;
  const level = LEVELS.find((known) => known === name);
  if (level !== undefined) return level;
  throw new InputError([
    { key: '--rp_log_level', message: `expected one of ${LEVELS.join(', ')}, in any case` },
  ]);
}
