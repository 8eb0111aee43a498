import { isNativeError } from 'node:util/types';

const HIDDEN = '[redacted]';
const UNREADABLE = '[unreadable]';

/** Keys whose values are secrets wherever they stand: in job inputs, headers, settings and log fields. */
const SECRET_KEY =
  /(?:^|_)(?:authorization|cookie|password|passwd|secret|token|jwt|api_?key|(?:service|supabase|private|access|secret|service_role)_key)$/;

const SECRET_TEXT: readonly (readonly [RegExp, string])[] = [
  // Supabase's two kinds of key, RunPod's and the hub's.
  [/eyJ[\w-]{10,}(?:\.[\w-]*){0,2}/g, HIDDEN],
  [/sb_(?:secret|publishable)_[\w-]+/g, HIDDEN],
  [/\brpa_\w{8,}/g, HIDDEN],
  [/\bhf_[A-Za-z\d]{16,}/g, HIDDEN],
  [/\bBearer\s+[^\s"',;]+/gi, `Bearer ${HIDDEN}`],
  [/\bBasic\s+[A-Za-z\d+/]{12,}={0,2}/g, `Basic ${HIDDEN}`],
  // A request's body or a connection string inside a message.
  [/("[\w-]{0,40}(?:_key|apikey|token|secret|password|authorization)"\s*:\s*")[^"]+/gi, `$1${HIDDEN}`],
  [/\b((?:api_?key|[a-z_]{0,30}_key|[a-z_]{0,30}token|secret|password|pwd)=)[^\s"'&;,]+/gi, `$1${HIDDEN}`],
];

const SCHEME = /[a-z][a-z\d+.-]{0,30}:\/\//gi;
const BEHIND_ADDRESS = /[\s"'<>]/g;
const USER_INFO = /:\/\/[^\s/?#]*@/g;
/** The query of a signed url is what opens it. */
const SIGNED_QUERY = /(?:token|signature|sig|x-amz-[\w-]{1,40}|x-goog-[\w-]{1,40}|expires|key)=/i;

/** `data:` urls are pictures, not secrets, but nobody wants one in a log line. */
const DATA_URL = /\bdata:([\w.+-]{1,60}\/[\w.+-]{1,60})?[;,][^\s"'<>]{64,}/g;

/** Does a key of this name hold a secret, in snake, kebab or camel case? */
export function isSecretKey(key: string): boolean {
  const snake = key.slice(-64).replace(/([a-z\d])([A-Z])/g, '$1_$2');
  return SECRET_KEY.test(snake.toLowerCase().replace(/-/g, '_'));
}

/** The text without keys, tokens, passwords in addresses and the queries of signed urls. */
export function redact(text: string): string {
  let out = text.replace(DATA_URL, (_, type: string | undefined) => `data:${type ?? ''},...`);
  out = redactAddresses(out);
  for (const [pattern, replacement] of SECRET_TEXT) out = out.replace(pattern, replacement);
  return out;
}

/**
 * The text without a secret that is known, whatever its form: as it is, as a url has it, and as JSON has it. For what
 * servers and libraries say of a request that carried it.
 */
export function withoutSecret(text: string, secret: string | undefined): string {
  if (secret === undefined || secret === '') return text;
  const forms = [secret, encodeURIComponent(secret.toWellFormed()), JSON.stringify(secret).slice(1, -1)];
  return forms.reduce((clean, form) => clean.replaceAll(form, HIDDEN), text);
}

/**
 * Each address whole: what is inside it is looked at apart, so that no text takes more than linear time. Its end is looked
 * for by itself, as a pattern that runs over megabytes may need more stack than there is.
 */
function redactAddresses(text: string): string {
  const parts: string[] = [];
  let done = 0;
  for (const { index, 0: scheme } of text.matchAll(SCHEME)) {
    if (index < done) continue;
    BEHIND_ADDRESS.lastIndex = index + scheme.length;
    const end = BEHIND_ADDRESS.exec(text)?.index ?? text.length;
    parts.push(text.slice(done, index), redactAddress(text.slice(index, end)));
    done = end;
  }
  return [...parts, text.slice(done)].join('');
}

function redactAddress(address: string): string {
  const bare = address.replace(USER_INFO, `://${HIDDEN}@`);
  const query = bare.search(/[?#]/);
  if (query === -1 || !SIGNED_QUERY.test(bare.slice(query))) return bare;
  return `${bare.slice(0, query)}?${HIDDEN}`;
}

/**
 * A copy with every secret key's value hidden and every string redacted; cycles and depth are cut. Errors keep their
 * name, code, message and cause; an error without a code is unexpected, and keeps its stack. What cannot be read (a
 * getter that throws, say) says so in its place.
 */
export function redactValue(value: unknown, depth = 8): unknown {
  try {
    return readValue(value, depth);
  } catch {
    return UNREADABLE;
  }
}

function readValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redact(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`;
  if (value === null || typeof value !== 'object') return value;
  if (depth === 0) return '[...]';
  if (ArrayBuffer.isView(value)) return `[${String(value.byteLength)} bytes]`;
  if (isNativeError(value) || value instanceof Error) return redactError(value, depth);
  if (Array.isArray(value)) return value.map((v) => redactValue(v, depth - 1));
  if (value instanceof Map) return redactValue(Object.fromEntries(value), depth);
  if (value instanceof Set) return redactValue([...(value as Set<unknown>)], depth);
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return redactValue((value.toJSON as () => unknown)(), depth - 1);
  }
  return redactEntries(Object.entries(value), depth);
}

function redactEntries(
  entries: readonly (readonly [string, unknown])[],
  depth: number,
): Record<string, unknown> {
  return Object.fromEntries(
    entries.map(([key, v]) => {
      const hide = isSecretKey(key) && v !== null && v !== undefined && v !== '';
      return [key, hide ? HIDDEN : redactValue(v, depth - 1)];
    }),
  );
}

/** What a subclass adds (code, status, retryable) is enumerable; message, stack and cause of an error are not. */
function redactError(error: Error, depth: number): Record<string, unknown> {
  const own = Object.entries(error).filter(([key, v]) => v !== undefined && !ERROR_KEYS.has(key));
  const coded = own.some(([key, v]) => key === 'code' && typeof v === 'string');
  return {
    name: redactValue(error.name, depth - 1),
    message: redactValue(error.message, depth - 1),
    ...redactEntries(own, depth),
    ...(coded || error.stack === undefined ? {} : { stack: redactValue(error.stack, depth - 1) }),
    ...(error.cause === undefined ? {} : { cause: redactValue(error.cause, depth - 1) }),
    ...(error instanceof AggregateError ? { errors: redactValue(error.errors, depth - 1) } : {}),
  };
}

const ERROR_KEYS = new Set(['name', 'message', 'stack', 'cause', 'errors']);
