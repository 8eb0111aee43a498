import { StoreError, type HandlerErrorOptions } from '../base/errors.ts';
import { withoutSecret } from '../base/redact.ts';
import { codesOf, isConnectionFault, isLasting, neverConnected } from '../http/causes.ts';

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
  /** Storage answers nearly every refusal with 400, and says here what it is: 544 is a database that was too slow. */
  statusCode?: string | undefined;
}

/** What was attempted, for the error: `reading products`. */
export interface Attempted {
  what: string;
  repeat: Repeat;
  /** Taken out of whatever the other side says. */
  key: string;
}

/** How sure we must be that nothing was written before another attempt is allowed. */
export type Repeat = 'safe' | 'unsafe';

const MISSING_TABLE = new Set(['42P01', 'PGRST205']);
const MISSING_COLUMN = new Set(['42703', 'PGRST204']);
const MISSING_FUNCTION = new Set(['PGRST202', '42883']);
/** PostgREST's words for a token it does not take, and Postgres' for a role without the right. */
const UNAUTHORIZED = new Set(['PGRST300', 'PGRST301', 'PGRST302', 'PGRST303', '42501']);

/**
 * The one place where supabase-js's errors become ours. A request that may not be repeated (an insert) is retryable
 * only where it cannot have arrived. There is no cause: what fetch throws may quote an address or a header, and its code
 * is in the message.
 */
export function toStoreError(attempted: Attempted, outcome: Outcome, refusal: Refusal | null): StoreError {
  if (outcome.status === undefined) return transportError(attempted, outcome);
  const { what, repeat, key } = attempted;
  const status = meantStatus(outcome.status, refusal);
  const storeCode = refusal?.code === undefined || refusal.code === '' ? undefined : refusal.code;
  const details = {
    status,
    ...(storeCode === undefined ? {} : { storeCode }),
    ...(outcome.retryAfterMs === undefined ? {} : { retryAfterMs: outcome.retryAfterMs }),
  };
  const answer = describe(status, storeCode, refusal, key);
  const error = (code: string, advice = '', retryable = false): StoreError =>
    new StoreError('supabase', code, `${what}: ${answer}${advice}`, { ...details, retryable });

  if (storeCode !== undefined) {
    if (MISSING_TABLE.has(storeCode)) return error('supabase_missing_table', '; apply supabase/migrations');
    if (MISSING_COLUMN.has(storeCode)) return error('supabase_missing_column', '; apply supabase/migrations');
    if (MISSING_FUNCTION.has(storeCode))
      return error('supabase_missing_function', '; apply supabase/migrations');
    if (storeCode.startsWith('23')) return error('supabase_constraint');
    // Larger than the database takes, an entry of an index say: PostgREST calls that a server error.
    if (storeCode.startsWith('54')) return error('supabase_rejected');
    if (UNAUTHORIZED.has(storeCode)) return error('supabase_unauthorized', '; check the service role key');
  }
  if (status === 401 || status === 403) return error('supabase_unauthorized', '; check the service role key');
  if (status === 429) return error('supabase_unavailable', '', true);
  // With a good status it is somebody else's answer, or none: a proxy's, say, while it starts.
  if (status >= 500 || status === 408 || status < 400)
    return error('supabase_unavailable', '', repeat === 'safe');
  return error('supabase_rejected');
}

function meantStatus(status: number, refusal: Refusal | null): number {
  const meant = Number(refusal?.statusCode);
  return status === 400 && meant >= 400 && meant <= 599 ? meant : status;
}

function transportError({ what, repeat }: Attempted, { failure, timedOut }: Outcome): StoreError {
  const error = (code: string, why: string, options: HandlerErrorOptions): StoreError =>
    new StoreError('supabase', code, `${what}: ${why}`, options);
  if (timedOut) return error('supabase_timeout', 'no answer in time', { retryable: repeat === 'safe' });
  const code = codesOf(failure).at(0);
  const passing = (code !== undefined || isConnectionFault(failure)) && !isLasting(failure);
  return error('supabase_unreachable', code ?? 'the connection failed', {
    retryable: passing && (repeat === 'safe' || neverConnected(failure)),
  });
}

const MAX_ANSWER_CHARS = 500;

function describe(
  status: number,
  storeCode: string | undefined,
  refusal: Refusal | null,
  key: string,
): string {
  const parts = [refusal?.message, refusal?.details, refusal?.hint].filter(
    (part) => part !== undefined && part !== null,
  );
  // Cleaned before it is cut: of a key that lies across the end, a part would be left.
  const text = withoutSecret(parts.join(' · '), key).slice(0, MAX_ANSWER_CHARS);
  const code = storeCode === undefined ? '' : ` ${storeCode}`;
  return `${String(status)}${code}${text === '' ? '' : ` ${text}`}`;
}
