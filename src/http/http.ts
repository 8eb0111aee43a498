export interface HttpResponse {
  status: number;
  /** Lower-case names; a header that came several times is joined by commas. */
  headers: Record<string, string>;
  body: Uint8Array;
  /** Where the body came from in the end, after redirects. */
  url: string;
}

export interface GetOptions {
  maxBytes: number;
  signal?: AbortSignal | undefined;
  headers?: Record<string, string>;
}

export interface Http {
  get(url: string, options: GetOptions): Promise<HttpResponse>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface HttpOptions {
  allowPrivateHosts?: boolean;
  connectionsPerHost?: number;
  concurrency?: number;
  connectTimeoutMs?: number;
  headersTimeoutMs?: number;
  bodyTimeoutMs?: number;
  /** For one request with all its redirects and tries. */
  deadlineMs?: number;
  attempts?: number;
  userAgent?: string;
}

export function createHttp(_options: HttpOptions = {}): Http {
  throw new Error('not yet');
}
