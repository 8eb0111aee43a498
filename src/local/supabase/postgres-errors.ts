import type { Answer } from './serve.ts';

/** What PGlite throws. */
export interface PostgresError {
  code: string;
  message: string;
  detail?: string | undefined;
  hint?: string | undefined;
}

/** The code under which `@supabase/lite` answers what it has no word for. */
const UNKNOWN_CODE = 'SUP';

/**
 * PostgREST's answers to errors of Postgres. `@supabase/lite` knows some codes, and answers others, a violated check
 * among them, with a 500 that says nothing. `lastError` is what Postgres threw during the request.
 */
export function answerAsPostgrestDoes(answer: Answer, lastError: () => PostgresError | undefined): Answer {
  return async (request) => {
    const response = await answer(request);
    const error = lastError();
    if (response.status < 500 || error === undefined) return response;
    const { code } = (await response.clone().json()) as { code?: string };
    if (code !== UNKNOWN_CODE) return response;
    const { message, detail = null, hint = null } = error;
    return Response.json(
      { code: error.code, message, details: detail, hint },
      { status: statusOf(error.code) },
    );
  };
}

/** From PostgREST's reference, "Errors", for the classes of code that can come here. */
function statusOf(code: string): number {
  if (code === '23503' || code === '23505') return 409;
  if (code === '42501') return 403;
  if (code === '42883' || code === '42P01') return 404;
  if (/^(?:22|23|42|P0001)/.test(code)) return 400;
  return code.startsWith('53') ? 503 : 500;
}

export function isPostgresError(error: unknown): error is PostgresError {
  return typeof error === 'object' && error !== null && 'code' in error && 'message' in error;
}
