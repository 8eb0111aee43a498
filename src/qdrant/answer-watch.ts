import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { randomUUID } from 'node:crypto';

/** What a request was answered with, before the client reads it. */
export interface Answer {
  status?: number;
  retryAfter?: string;
}

export interface AnswerWatch extends Disposable {
  /** To be sent with the request, so that its answer is recognised. */
  header: Readonly<Record<string, string>>;
  answer: Answer;
}

const REQUEST_ID = 'x-request-id';
const HEADERS_CHANNEL = 'undici:request:headers';

interface HeadersMessage {
  request: { headers: readonly unknown[] | string };
  response: { statusCode: number; headers: readonly (Uint8Array | string)[] };
}

/**
 * Sees one request's status and `Retry-After`. The client keeps the first character of that header only, turns a
 * date into an error without a status, and offers no place to read it: so it is read where undici publishes it.
 */
export function watchAnswer(): AnswerWatch {
  const id = randomUUID();
  const answer: Answer = {};
  const onHeaders = (message: unknown): void => {
    const { request, response } = message as HeadersMessage;
    if (!request.headers.includes(id)) return;
    answer.status = response.statusCode;
    for (let i = 0; i + 1 < response.headers.length; i += 2) {
      if (text(response.headers[i]).toLowerCase() === 'retry-after') {
        answer.retryAfter = text(response.headers[i + 1]);
      }
    }
  };
  subscribe(HEADERS_CHANNEL, onHeaders);
  return {
    header: { [REQUEST_ID]: id },
    answer,
    [Symbol.dispose]: () => void unsubscribe(HEADERS_CHANNEL, onHeaders),
  };
}

function text(value: Uint8Array | string | undefined): string {
  return typeof value === 'string' ? value : Buffer.from(value ?? []).toString('latin1');
}
