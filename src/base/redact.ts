const HIDDEN = '[redacted]';

/** Keys whose values are secrets wherever they stand: in job inputs, headers and log fields. */
const SECRET_KEY =
  /^(authorization|apikey|api[_-]?key|.*_api_key|.*service_key|supabase_key|service_role_key|hf_token|token|password|secret|cookie)$/i;

const SECRET_TEXT: readonly (readonly [RegExp, string])[] = [
  // Supabase's two kinds of key, RunPod's and the hub's.
  [/\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?/g, HIDDEN],
  [/\bsb_(?:secret|publishable)_[\w-]+/g, HIDDEN],
  [/\brpa_\w{8,}/g, HIDDEN],
  [/\bhf_\w{8,}/g, HIDDEN],
  [/\bBearer\s+[^\s"',;]+/gi, `Bearer ${HIDDEN}`],
  // user:password@ in an address.
  [/(\b[a-z][a-z\d+.-]*:\/\/)[^\s/@"']+@/gi, `$1${HIDDEN}@`],
  // The query of a signed url is what opens it.
  [
    /(\bhttps?:\/\/[^\s"'<>?#]+)\?[^\s"'<>]*(?:token|signature|sig|x-amz-[\w-]+|x-goog-[\w-]+|expires|key)=[^\s"'<>]*/gi,
    `$1?${HIDDEN}`,
  ],
];

/** `data:` urls are pictures, not secrets, but nobody wants one in a log line. */
const DATA_URL = /\bdata:([\w.+-]+\/[\w.+-]+)?[;,][^\s"'<>]{64,}/g;

/** The text without keys, tokens, passwords in addresses and the queries of signed urls. */
export function redact(text: string): string {
  let out = text.replace(DATA_URL, (_, type: string | undefined) => `data:${type ?? ''},...`);
  for (const [pattern, replacement] of SECRET_TEXT) out = out.replace(pattern, replacement);
  return out;
}

/** A copy with every secret key's value hidden and every string redacted; cycles and depth are cut. */
export function redactValue(value: unknown, depth = 8): unknown {
  if (typeof value === 'string') return redact(value);
  if (value === null || typeof value !== 'object')
    return typeof value === 'bigint' ? value.toString() : value;
  if (depth === 0) return '[...]';
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((v) => redactValue(v, depth - 1));
  const out: Record<string, unknown> = {};
  for (const [key, v] of Object.entries(value)) {
    out[key] =
      SECRET_KEY.test(key) && v !== null && v !== undefined && v !== '' ? HIDDEN : redactValue(v, depth - 1);
  }
  return out;
}
