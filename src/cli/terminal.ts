import { styleText } from 'node:util';

import { StoppedError } from '../base/errors.ts';

export interface Terminal {
  /** Only JSON on standard output. */
  readonly json: boolean;
  /** What was asked for: JSON on one line, or text for people. */
  result(value: unknown, text: string): void;
  /** For people alone, on standard error. */
  note(text: string): void;
  /** Colours where standard output is a terminal that has them, and NO_COLOR is not set. */
  paint(style: 'bold' | 'dim' | 'red' | 'green' | 'yellow', text: string): string;
}

/**
 * Aborted when standard output has no reader any more: `gpu-handlers status | head`. Of standard error that is no
 * reason to stop.
 */
export function watchReader(): AbortSignal {
  const gone = new AbortController();
  const onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
  };
  process.stderr.on('error', onError);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    onError(error);
    gone.abort(new StoppedError('shutdown', 'nobody reads the output any more'));
  });
  return gone.signal;
}

export function createTerminal(json: boolean): Terminal {
  return {
    json,
    result(value, text) {
      process.stdout.write(json ? `${JSON.stringify(value)}\n` : text === '' ? '' : `${text}\n`);
    },
    note: (text) => void process.stderr.write(`${text}\n`),
    paint: (style, text) => (json ? text : styleText(style, text, { stream: process.stdout })),
  };
}
