import { z } from 'zod';

import { InputError } from '../../base/errors.ts';
import { parseInput, shapeOf } from '../../base/parse-input.ts';
import type { JobRequest } from './job.ts';
import { MAX_JOB_MS } from './limits.ts';

/** The longest that a request waits for a job. */
const MAX_WAIT_MS = 300_000;
const WAIT_MS = 90_000;

const duration = z
  .number('expected milliseconds')
  .positive('expected milliseconds above 0')
  .max(MAX_JOB_MS, 'expected at most 7 days');
const address = z.url({ protocol: /^https?$/, error: 'expected an http(s) address' });

/** Beside `input`. Other keys are let through: the service knows more of them than this endpoint. */
const ENVELOPE = z.looseObject(
  {
    webhook: address.optional(),
    policy: z
      .looseObject({ executionTimeout: duration.optional(), ttl: duration.optional() }, 'expected an object')
      .optional(),
  },
  'expected {"input": ...}',
);

/** The body as text; undefined where it is larger than allowed, of which no more is read than that. */
export async function readBody(request: Request, maxBytes: number): Promise<string | undefined> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) return undefined;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * A submission. The input is the handler's affair and stays as it is.
 * @throws InputError
 */
export function parseSubmission(text: string): JobRequest {
  const body = parseJson(text);
  const isObject = body !== null && typeof body === 'object' && !Array.isArray(body);
  const { input = null, ...rest }: Record<string, unknown> = isObject ? { ...body } : {};
  if (input === null)
    throw new InputError([{ key: 'body', message: 'expected {"input": ...}, found no input' }]);
  const { webhook, policy } = parseInput(ENVELOPE, rest, 'body');
  return {
    input,
    webhook,
    executionTimeout: policy?.executionTimeout,
    ttl: policy?.ttl,
    bytes: Buffer.byteLength(text),
  };
}

/** The parser's own message quotes the text, which may hold keys: it is not repeated. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InputError([{ key: 'body', message: `expected JSON, found ${shapeOf(text)} that is none` }]);
  }
}

/** `?wait=` in milliseconds; at most what the service allows. @throws InputError */
export function waitOf(value: string | undefined): number {
  return Math.min(millisecondsOf(value, 'wait') ?? WAIT_MS, MAX_WAIT_MS);
}

/** `?ttl=`: how long a result is kept. @throws InputError */
export function ttlOf(value: string | undefined): number | undefined {
  const ms = millisecondsOf(value, 'ttl');
  return ms === undefined ? undefined : Math.min(ms, MAX_JOB_MS);
}

function millisecondsOf(value: string | undefined, key: string): number | undefined {
  if (value === undefined || value === '') return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  throw new InputError([{ key, message: 'expected milliseconds' }]);
}
