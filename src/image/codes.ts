export interface FailureCode {
  meaning: string;
  /** Can the same image, tried again later, succeed? `depends`: the single error says so. */
  retryable: boolean | 'depends';
}

/**
 * Why an image could not be embedded: the codes that stand in a job's output and in its list of failures. Stable: a
 * code is never renamed and never changes its meaning. A name with `<...>` stands for a family.
 */
export const FAILURE_CODES: Readonly<Record<string, FailureCode>> = {
  invalid_url: {
    meaning:
      'The address is no url, or is none that begins with http:, https: or data:, or a data: url is broken.',
    retryable: false,
  },
  blocked_address: {
    meaning: 'The host is private, reserved or a metadata service, or resolves to such an address.',
    retryable: false,
  },
  network: {
    meaning:
      'The name was not resolved, the connection failed or broke off. Not retryable where a certificate is wrong.',
    retryable: 'depends',
  },
  timeout: { meaning: 'The server did not connect, answer or finish in time.', retryable: true },
  'http_<status>': {
    meaning:
      'The server answered with this status, as in http_404. Retryable: 408, 421, 425, 429, and those from 500 on that say it may pass.',
    retryable: 'depends',
  },
  too_many_redirects: { meaning: 'More than 5 redirects, or a circle of them.', retryable: false },
  too_large: { meaning: 'The file has more bytes than allowed.', retryable: false },
  unsupported_encoding: {
    meaning: 'The answer came in a content encoding that is unknown or broken.',
    retryable: false,
  },
  storage_not_found: { meaning: 'The storage bucket holds no file of this path.', retryable: false },
  empty: { meaning: 'The file has no bytes.', retryable: false },
  not_an_image: { meaning: 'The file is something else: HTML, JSON, text, unknown bytes.', retryable: false },
  unsupported_type: {
    meaning:
      'A picture of a type that is not read: SVG, HEIC, BMP, PDF and others. Read are JPEG, PNG, WebP, GIF, TIFF, AVIF.',
    retryable: false,
  },
  too_many_pixels: {
    meaning: 'Width times height, or the longer side, is more than allowed. Nothing was decoded.',
    retryable: false,
  },
  truncated: { meaning: 'The file ends before the image does.', retryable: false },
  corrupt: { meaning: 'The file begins as an image, but cannot be decoded.', retryable: false },
  decode_timeout: {
    meaning: 'Decoding took longer than a minute and was given up.',
    retryable: false,
  },
  not_finite: { meaning: 'The model gave a vector with NaN or infinity for the image.', retryable: false },
  'supabase_<fault>': {
    meaning:
      'Supabase could not sign the address of a stored file: supabase_unavailable, supabase_timeout and others.',
    retryable: 'depends',
  },
  'qdrant_<fault>': {
    meaning: 'Qdrant did not take the point: qdrant_unavailable, qdrant_rejected and others.',
    retryable: 'depends',
  },
  internal: {
    meaning: 'An error that nobody foresaw: a fault of this package. Please report it.',
    retryable: false,
  },
};

/** What a code means, families included (`http_404`); undefined for what is no documented code. */
export function describeFailure(code: string): FailureCode | undefined {
  if (Object.hasOwn(FAILURE_CODES, code)) return FAILURE_CODES[code];
  if (/^http_\d{3}$/.test(code)) return FAILURE_CODES['http_<status>'];
  const family = /^(?:supabase|qdrant)(?=_[a-z_]+$)/.exec(code)?.[0];
  return family === undefined ? undefined : FAILURE_CODES[`${family}_<fault>`];
}
