import { StoreError } from '../base/errors.ts';

/** What came of one request: an answer with a status, or a failure of the transport. */
export interface Outcome {
  status: number | undefined;
  retryAfterMs: number | undefined;
  /** What fetch threw. */
  failure: unknown;
  timedOut: boolean;
}

/** What PostgREST and Storage put into the body of a refusal. Every field is optional in practice. */
export interface Refusal {
  message?: string;
  code?: string;
  details?: string | null;
  hint?: string | null;
  error?: string;
}

/** How sure we must be that nothing was written before another attempt is allowed. */
export type Repeat = 'safe' | 'unsafe';

const MISSING_TABLE = new Set(['42P01', 'PGRST205']);
const MISSING_COLUMN = new Set(['42703', 'PGRST204']);
const MISSING_FUNCTION = new Set(['PGRST202', '42883']);
/** PostgREST's words for a token it does not take, and Postgres' for a role without the right. */
const UNAUTHORIZED = new Set(['PGRST300', 'PGRST301', 'PGRST302', 'PGRST303', '42501']);
const NEVER_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/**
 * The one place where supabase-js's errors become ours. `what` says what was attempted and on what, as in
 * `reading products`. A request that may not be repeated (an insert) is retryable only where it cannot have arrived.
 */
export function toStoreError(
  what: string,
  outcome: Outcome,
  refusal: Refusal | null,
  repeat: Repeat,
): StoreError {
  if (outcome.status === undefined) return transportError(what, outcome, repeat);
  const { status } = outcome;
  const storeCode = refusal?.code === undefined || refusal.code === '' ? undefined : refusal.code;
  const details = {
    status,
    ...(storeCode === undefined ? {} : { storeCode }),
    ...(outcome.retryAfterMs === undefined ? {} : { retryAfterMs: outcome.retryAfterMs }),
  };
  const answer = describe(status, storeCode, refusal);
  const error = (code: string, advice = '', retryable = false): StoreError =>
    new StoreError('supabase', code, `${what}: ${answer}${advice}`, { ...details, retryable });

  if (storeCode !== undefined) {
    if (MISSING_TABLE.has(storeCode)) return error('supabase_missing_table', '; apply supabase/migrations');
    if (MISSING_COLUMN.has(storeCode)) return error('supabase_missing_column', '; apply supabase/migrations');
    if (MISSING_FUNCTION.has(storeCode))
      return error('supabase_missing_function', '; apply supabase/migrations');
    if (storeCode.startsWith('23')) return error('supabase_constraint');
    if (UNAUTHORIZED.has(storeCode)) return error('supabase_unauthorized', '; check the service role key');
  }
  if (status === 401 || status === 403) return error('supabase_unauthorized', '; check the service role key');
  if (status === 429) return error('supabase_unavailable', '', true);
  if (status >= 500) return error('supabase_unavailable', '', repeat === 'safe');
  return error('supabase_rejected');
}

function transportError(what: string, { failure, timedOut }: Outcome, repeat: Repeat): StoreError {
  if (timedOut) {
    return new StoreError('supabase', 'supabase_timeout', `${what}: no answer in time`, {
      retryable: repeat === 'safe',
      cause: failure,
    });
  }
  const reason = rootCode(failure);
  return new StoreError('supabase', 'supabase_unreachable', `${what}: ${reason ?? 'the connection failed'}`, {
    retryable: repeat === 'safe' || (reason !== undefined && NEVER_CONNECTED.has(reason)),
    cause: failure,
  });
}

/** The system's code of a failed fetch (`ECONNREFUSED`), which lies one or two causes deep. */
function rootCode(failure: unknown): string | undefined {
  for (let error = failure, depth = 0; depth < 5; depth += 1) {
    if (typeof error !== 'object' || error === null) return undefined;
    if ('code' in error && typeof error.code === 'string') return error.code;
    error = 'cause' in error ? error.cause : undefined;
  }
  return undefined;
}

const MAX_ANSWER_CHARS = 500;

function describe(status: number, storeCode: string | undefined, refusal: Refusal | null): string {
  const parts = [refusal?.message, refusal?.details, refusal?.hint].filter(
    (part) => part !== undefined && part !== null,
  );
  const text = parts.join(' · ').slice(0, MAX_ANSWER_CHARS);
  const code = storeCode === undefined ? '' : ` ${storeCode}`;
  return `${String(status)}${code}${text === '' ? '' : ` ${text}`}`;
}

/** `Retry-After` in milliseconds; it holds seconds or a date. */
export function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
