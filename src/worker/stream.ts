import { toJson } from './output.ts';
import { limited, MAX_CHUNK_BYTES } from './result.ts';

export interface StreamOutputOptions {
  /** Resolves when the platform has the piece: the generator is asked for the next one then. */
  post: (body: string) => Promise<void>;
  /** The output is all pieces rather than an empty list. */
  aggregate: boolean;
  signal: AbortSignal;
}

/** Did the handler give its output in pieces? */
export function isStream(output: unknown): output is AsyncIterable<unknown> {
  return output !== null && typeof output === 'object' && Symbol.asyncIterator in output;
}

/**
 * Posts each piece, in order, and gives the output of the job. A generator that is stopped is left (its `finally` runs).
 * @throws what the generator throws; HandlerError `output_not_json` or
 * `output_too_large` for a piece that cannot be posted; what `post` throws; the signal's reason.
 */
export async function streamOutput(
  pieces: AsyncIterable<unknown>,
  { post, aggregate, signal }: StreamOutputOptions,
): Promise<unknown[]> {
  const all: unknown[] = [];
  let count = 0;
  for await (const piece of pieces) {
    await post(
      limited(`{"output":${toJson(piece)}}`, `piece ${String(count)} of the stream`, MAX_CHUNK_BYTES),
    );
    count += 1;
    if (aggregate) all.push(piece);
    signal.throwIfAborted();
  }
  return all;
}
