import { hostname } from 'node:os';

import { HandlerError, isError, messageOf, toHandlerError } from '../base/errors.ts';
import { isSecretKey, redact, withoutSecret } from '../base/redact.ts';
import { toJson } from './output.ts';
import { WORKER_VERSION } from './protocol.ts';

/** What the platform takes as a result at most: `/runsync`'s limit, as no job says how it was submitted. */
const MAX_RESULT_BYTES = 20_000_000;
/** One piece of a stream. */
export const MAX_CHUNK_BYTES = 1_000_000;

/** How a traceback is cut: what matters stands first. */
const MAX_TRACE_CHARS = 4_000;
const MAX_MESSAGE_CHARS = 8_000;
const MAX_NAME_CHARS = 200;
/** Shorter values are words like any other: taking them out of a text would only garble it. */
const MIN_SECRET_CHARS = 6;

/** Who ran the job, for those who read its error. */
export interface WorkerIdentity {
  workerId: string;
  hostname: string | undefined;
}

export interface Result {
  /** The body's keys as JSON, without what is added to every result. */
  fields: Readonly<Record<string, string>>;
  failed: boolean;
  /** The handler asked for a fresh worker by `refresh_worker` in its output. */
  refresh: boolean;
}

/**
 * A handler's output as the body of a result. An `error` in it is the job's error, as text whatever it was, because the
 * platform calls a job with any other kind of error completed.
 * @throws HandlerError `output_not_json` that names the path; `output_too_large` that names limit and size.
 */
export function resultOf(output: unknown, input: unknown): Result {
  const isMarked =
    output !== null && typeof output === 'object' && ('error' in output || 'refresh_worker' in output);
  if (!isMarked)
    return { fields: { output: limited(toJson(output), 'the output') }, failed: false, refresh: false };
  const { error, refresh_worker: refresh, ...rest } = output as Record<string, unknown>;
  const failed = error !== null && error !== undefined && error !== false && error !== '';
  if (!failed)
    return { fields: { output: limited(toJson(rest), 'the output') }, failed, refresh: Boolean(refresh) };
  const text = withoutSecretsOf(input, redact(typeof error === 'string' ? error : toJson(error)));
  return {
    fields: {
      ...(Object.keys(rest).length === 0 ? {} : { output: limited(toJson(rest), 'the output') }),
      error: limited(JSON.stringify(text), 'the error'),
    },
    failed,
    refresh: Boolean(refresh),
  };
}

/**
 * What was thrown as the platform's own runtime posts it: an object as text. Without the secrets of the input. Never
 * throws: an error that cannot be read is told as one.
 */
export function failureOf(
  thrown: unknown,
  input: unknown,
  { workerId, hostname: host }: WorkerIdentity,
): Result {
  const error = toHandlerError(thrown);
  const { type, traceback } = kindAndTrace(isError(thrown) ? thrown : error, error);
  const text = JSON.stringify({
    error_type: type,
    error_code: error.code,
    error_message: cut(error.message, MAX_MESSAGE_CHARS),
    error_traceback: cut(traceback, MAX_TRACE_CHARS),
    hostname: host ?? hostname(),
    worker_id: workerId,
    runpod_version: WORKER_VERSION,
  });
  return { fields: { error: JSON.stringify(withoutSecretsOf(input, text)) }, failed: true, refresh: false };
}

/** Of the error that was thrown; of ours, where that one's are no text or cannot be read. */
function kindAndTrace(thrown: Error, ours: Error): { type: string; traceback: string } {
  try {
    return { type: cut(redact(thrown.name), MAX_NAME_CHARS), traceback: redact(thrown.stack ?? '') };
  } catch {
    return { type: ours.name, traceback: redact(ours.stack ?? '') };
  }
}

/** The body of a result. */
export function bodyOf({ fields }: Result, stopPod: boolean): string {
  const all = stopPod ? { ...fields, stopPod: 'true' } : fields;
  return `{${Object.entries(all)
    .map(([key, json]) => `${JSON.stringify(key)}:${json}`)
    .join(',')}}`;
}

/** @throws HandlerError `output_too_large`. */
export function limited(json: string, what: string, maxBytes = MAX_RESULT_BYTES): string {
  const bytes = Buffer.byteLength(json);
  if (bytes <= maxBytes) return json;
  throw new HandlerError(
    'output_too_large',
    `${what} has ${String(bytes)} bytes, above the limit of ${String(maxBytes)} bytes; ` +
      'store it elsewhere and return its address',
  );
}

/** The text without the values that stand under a secret's name in the input, in whatever form. */
function withoutSecretsOf(input: unknown, text: string): string {
  let clean = text;
  const visit = (value: unknown, key: string, depth: number): void => {
    if (typeof value === 'string') {
      if (isSecretKey(key) && value.length >= MIN_SECRET_CHARS) clean = withoutSecret(clean, value);
    } else if (value !== null && typeof value === 'object' && depth > 0) {
      for (const [name, item] of Object.entries(value))
        visit(item, Array.isArray(value) ? key : name, depth - 1);
    }
  };
  visit(input, '', 8);
  return clean;
}

/** For the log: what went wrong, in a line. */
export function shortly(thrown: unknown): string {
  return cut(messageOf(thrown), 500);
}

function cut(text: string, chars: number): string {
  return text.length > chars ? `${text.slice(0, chars)}...` : text;
}
