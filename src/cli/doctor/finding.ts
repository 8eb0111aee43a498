import { HandlerError, messageOf } from '../../base/errors.ts';
import type { Settings } from '../../base/settings.ts';

/** What one look has found. */
export interface Finding {
  /** What was looked at: `supabase`, `setting API_PORT`. */
  check: string;
  /** `warning`: it works, and less well; `skipped`: nothing is set up to be looked at. */
  status: 'ok' | 'warning' | 'failed' | 'skipped';
  detail: string;
  /** What to do about it. */
  advice?: string | undefined;
}

/** What checks look at. */
export interface Patient {
  /** Without those that are wrong. */
  settings: Settings;
  /** How long a service has for one answer; it is asked once. */
  limits: { patienceMs: number; timeoutMs: number };
  signal: AbortSignal;
}

/** What a check failed with, as a finding; advice by the error's code, where there is any. */
export function failed(
  check: string,
  error: unknown,
  advice: Readonly<Record<string, string>> = {},
): Finding {
  const code = error instanceof HandlerError ? error.code : 'internal';
  return { check, status: 'failed', detail: messageOf(error), advice: advice[code] };
}
