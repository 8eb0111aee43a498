import { z } from 'zod';

import type { HandlerError } from '../../base/errors.ts';
import { InputError, RunPodError, SettingsError, StoreError } from '../../base/errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** RFC 9457, with our code, what is wrong with which field, and the id that the log has. */
export const PROBLEM = z.object({
  type: z.string().describe('urn:gpu-handlers:problem:{code}'),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string().describe('Stable: scripts may rely on it.'),
  request_id: z.string(),
  issues: z
    .array(z.object({ key: z.string(), message: z.string() }))
    .optional()
    .describe('Where fields are wrong: which, and what was expected.'),
});
export type Problem = z.infer<typeof PROBLEM>;

interface Kind {
  status: number;
  title: string;
}

const CONFLICT = 'Not in this state';
const NOT_THERE = 'Not found';
const AWAY = 'Something behind this API does not answer';

/** By code. What is not here goes by its class. */
const KINDS: Readonly<Record<string, Kind>> = {
  bad_request: { status: 400, title: 'Bad request' },
  unauthorized: { status: 401, title: 'No valid key' },
  not_found: { status: 404, title: NOT_THERE },
  run_not_found: { status: 404, title: NOT_THERE },
  cutout_not_found: { status: 404, title: NOT_THERE },
  collection_not_found: { status: 404, title: NOT_THERE },
  qdrant_not_found: { status: 404, title: NOT_THERE },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  run_has_ended: { status: 409, title: CONFLICT },
  run_not_ended: { status: 409, title: CONFLICT },
  nothing_to_retry: { status: 409, title: CONFLICT },
  not_submitted_here: { status: 409, title: CONFLICT },
  cutout_not_embedded: { status: 409, title: CONFLICT },
  mixed_models: { status: 409, title: 'Vectors of different models cannot be compared' },
  body_too_large: { status: 413, title: 'Body too large' },
  unsupported_type: { status: 415, title: 'Unsupported type' },
  image_not_embedded: { status: 422, title: 'The image could not be embedded' },
  rate_limited: { status: 429, title: 'Too many requests' },
  search_not_served: { status: 501, title: 'Not served here' },
  stopping: { status: 503, title: 'Stopping' },
};

/** A store's codes that say that it may answer later, whether a retry was allowed or not. */
const PASSING = /_(?:unavailable|unreachable|timeout|busy)$/;

/** What is answered for an error: HTTP status and words. An error that nobody foresaw shows nothing of itself. */
export function problemOf(error: HandlerError, requestId: string): Problem {
  const kind = kindOf(error);
  const isUnforeseen = kind.status === 500;
  const code = isUnforeseen ? 'internal' : error.code;
  return {
    type: `urn:gpu-handlers:problem:${code}`,
    title: kind.title,
    status: kind.status,
    detail: isUnforeseen
      ? 'an error that nobody foresaw; the log has it under this request_id'
      : error.message,
    code,
    request_id: requestId,
    ...(error instanceof InputError && { issues: [...error.issues] }),
  };
}

function kindOf(error: HandlerError): Kind {
  if (error instanceof InputError) return { status: 422, title: 'Invalid input' };
  if (error instanceof SettingsError) return { status: 503, title: 'Not set up' };
  const known = Object.hasOwn(KINDS, error.code) ? KINDS[error.code] : undefined;
  if (known !== undefined) return known;
  if (error instanceof StoreError || error instanceof RunPodError) {
    const passing = error.retryable || PASSING.test(error.code);
    return passing
      ? { status: 503, title: AWAY }
      : { status: 502, title: 'Something behind this API refused' };
  }
  return { status: 500, title: 'Internal error' };
}
