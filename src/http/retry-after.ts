/** Milliseconds from a `Retry-After` header, in seconds or as a date; undefined where it says nothing usable. */
export function parseRetryAfter(value: string | undefined, nowMs = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d+(?:\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  // A date has a weekday's or month's letters: `Date.parse` alone would take "-1" for a year.
  const at = /[a-z]{3}/i.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/**
 * How long an answer asks to wait, in milliseconds: its `Retry-After`, else when its rate limit starts afresh
 * (`RateLimit: "api";r=0;t=55`, or the older `RateLimit-Reset: 55`), which counts only where nothing is left of it.
 */
export function retryAfterOf(headers: Readonly<Record<string, string>>): number | undefined {
  const asked = parseRetryAfter(headers['retry-after']);
  if (asked !== undefined) return asked;
  const { ratelimit = '' } = headers;
  const reset = /;\s*r=0\s*;\s*t=(\d{1,6})/.exec(ratelimit)?.[1];
  if (reset !== undefined) return Number(reset) * 1000;
  const older = headers['ratelimit-reset'] ?? '';
  return headers['ratelimit-remaining'] === '0' && /^\d{1,6}$/.test(older) ? Number(older) * 1000 : undefined;
}
