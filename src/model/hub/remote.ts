import { HttpError, ModelError } from '../../base/errors.ts';
import { retry } from '../../flow/retry.ts';
import type { Http } from '../../http/http.ts';
import type { HttpStream } from '../../http/stream.ts';
import { isCommit } from './cache-layout.ts';
import { isHash, type Promised } from './hashes.ts';

export interface RemoteOptions {
  http: Http;
  /** The hub's address. */
  endpoint: string;
  /** Sent to the endpoint's own origin, to nobody else. */
  token?: string | undefined;
  /** Wait before the second try of what may pass; longer before the later ones. */
  retryBaseDelayMs?: number;
}

/** What the hub says of one file at one commit. */
export interface RemoteFile extends Promised {
  repository: string;
  path: string;
  commit: string;
}

/** The hub over HTTP. Every request is resolved afresh by the hub, so that no signed address grows old. */
export interface Remote {
  /**
   * Commit, hash and size of a file; undefined where the repository has no such file.
   * @throws ModelError `model_not_allowed`, `model_not_on_hub`, `model_download_failed`.
   */
  resolve(
    repository: string,
    revision: string,
    path: string,
    signal: AbortSignal,
  ): Promise<RemoteFile | undefined>;
  /**
   * One request for the file's bytes from an offset on: 206, or 200 with all of it, or 416. No limit: the promised
   * size is the reader's to watch over.
   */
  read<T>(
    file: RemoteFile,
    offset: number,
    signal: AbortSignal,
    read: (answer: HttpStream) => Promise<T>,
  ): Promise<T>;
  /** Tries again what may pass, as long as the hub asks to. */
  patiently<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

const ATTEMPTS = 6;
const BASE_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;
/** The hub's rate limits start afresh every five minutes. */
const MAX_WAIT_MS = 15 * 60_000;

export function createRemote(options: RemoteOptions): Remote {
  const { http, token } = options;
  const endpoint = options.endpoint.replace(/\/+$/, '');
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const addressOf = (repository: string, revision: string, path: string): string =>
    `${endpoint}/${repository}/resolve/${revision}/${path.split('/').map(encodeURIComponent).join('/')}`;

  const patiently: Remote['patiently'] = (attempt, signal) =>
    retry(attempt, {
      attempts: ATTEMPTS,
      signal,
      deadlineMs: MAX_WAIT_MS,
      baseDelayMs: options.retryBaseDelayMs ?? BASE_DELAY_MS,
      maxDelayMs: MAX_DELAY_MS,
    });

  const explaining = async <T>(ask: () => Promise<T>, what: string): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      throw explained(error, what, token !== undefined);
    }
  };

  return {
    patiently,

    resolve(repository, revision, path, signal) {
      const what = `${path} of ${repository}`;
      const ask = (): Promise<RemoteFile | undefined> =>
        http.stream(
          addressOf(repository, revision, path),
          { method: 'HEAD', headers, maxBytes: 0, signal, leaveOrigin: false, accept: [404] },
          (answer) => Promise.resolve(readMetadata(answer, repository, path)),
        );
      return patiently(() => explaining(ask, what), signal);
    },

    read({ repository, path, commit }, offset, signal, read) {
      const address = addressOf(repository, commit, path);
      const ranged = offset === 0 ? headers : { ...headers, range: `bytes=${String(offset)}-` };
      const ask = (): ReturnType<typeof read> =>
        http.stream(
          address,
          { headers: ranged, maxBytes: Number.MAX_SAFE_INTEGER, signal, accept: [403, 416] },
          async (answer) => {
            if (answer.status !== 403) return read(answer);
            // Off the hub it is a signed address that grew old: the next try gets a new one.
            const expired = new URL(answer.url).origin !== new URL(address).origin;
            throw new HttpError('http_403', 'it is refused', { status: 403, retryable: expired });
          },
        );
      return explaining(ask, `${path} of ${repository}`);
    },
  };
}

function readMetadata(
  { status, headers }: HttpStream,
  repository: string,
  path: string,
): RemoteFile | undefined {
  if (status === 404) {
    const code = headers['x-error-code'] ?? '';
    if (code === 'EntryNotFound') return undefined;
    throw new ModelError(
      'model_not_on_hub',
      `the hub has no ${path} of ${repository}${code === '' ? '' : ` (${code})`}`,
    );
  }
  const commit = headers['x-repo-commit'];
  const hash = (headers['x-linked-etag'] ?? headers.etag ?? '').replace(/^W\//, '').replaceAll('"', '');
  const size = Number(headers['x-linked-size'] ?? (status < 300 ? headers['content-length'] : undefined));
  if (!isCommit(commit) || !isHash(hash) || !Number.isSafeInteger(size) || size < 0) {
    throw new ModelError(
      'model_download_failed',
      `what answered for ${path} of ${repository} gave no commit, hash and size: is HF_ENDPOINT a model hub?`,
    );
  }
  return { repository, path, commit, hash, size };
}

/** Says of which file an error of the network speaks, and what to do. */
function explained(error: unknown, what: string, hadToken: boolean): unknown {
  if (!(error instanceof HttpError)) return error;
  if ((error.status === 401 || error.status === 403) && !error.retryable) {
    const message = hadToken
      ? `the hub does not give ${what} to this token: accept the model's terms on its page, or take another token`
      : `the hub does not give ${what} to everybody: accept the model's terms on its page, and set HF_TOKEN`;
    return new ModelError('model_not_allowed', message, { cause: error });
  }
  return new ModelError('model_download_failed', `could not fetch ${what} from the hub: ${error.message}`, {
    cause: error,
    retryable: error.retryable,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  });
}
