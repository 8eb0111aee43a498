import { StoppedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
type StopSignal = (typeof STOP_SIGNALS)[number];

/** What a shell expects of a program that a signal has ended: 128 and the signal's number. */
const EXIT_CODE: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

/** Where signals come from: the process, or what a test gives. */
export interface SignalSource {
  on(signal: StopSignal, listener: (signal: StopSignal) => void): unknown;
  off(signal: StopSignal, listener: (signal: StopSignal) => void): unknown;
}

/** A process that may have been started with a channel to the one that started it (`fork`). */
interface Child {
  readonly connected: boolean;
  readonly channel?: { unref(): void } | null | undefined;
  on(event: 'disconnect', listener: () => void): unknown;
  off(event: 'disconnect', listener: () => void): unknown;
}

export interface StopOnSignals extends Disposable {
  /** Aborted by the first signal; its reason is a StoppedError `shutdown`. */
  readonly signal: AbortSignal;
  /** What a shell expects of a program that the first signal has ended; undefined while there was none. */
  readonly exitCode: number | undefined;
}

export interface StopOptions {
  signals?: SignalSource | undefined;
  exit?: (code: number) => void;
  child?: Child | undefined;
  /** What the reason says of the time that is left. */
  graceMs?: number;
}

/**
 * The first SIGTERM or SIGINT asks for a stop; a second one ends the process at once, where `exit` is given. So does, as
 * a first one, the end of the process that started this one with a channel between them.
 */
export function stopOnSignals(
  log: Pick<Log, 'warn' | 'error'>,
  { signals = process, exit, child, graceMs }: StopOptions,
): StopOnSignals {
  const stop = new AbortController();
  let exitCode: number | undefined;
  const onSignal = (signal: StopSignal): void => {
    if (stop.signal.aborted) {
      if (exit === undefined) return;
      log.error('Ending at once: asked a second time', { signal });
      exit(EXIT_CODE[signal]);
      return;
    }
    log.warn('Stopping: a signal asked for it', { signal });
    exitCode = EXIT_CODE[signal];
    stop.abort(new StoppedError('shutdown', `stopped by ${signal}`, { graceMs }));
  };
  const onDisconnect = (): void => {
    if (stop.signal.aborted) return;
    log.warn('Stopping: the process that started this one has ended');
    stop.abort(new StoppedError('shutdown', 'the process that started this one has ended'));
  };
  for (const name of STOP_SIGNALS) signals.on(name, onSignal);
  if (child?.connected === true) {
    child.on('disconnect', onDisconnect);
    // A listener keeps the process alive for as long as the channel is open.
    child.channel?.unref();
  }
  return {
    signal: stop.signal,
    get exitCode() {
      return exitCode;
    },
    [Symbol.dispose]: () => {
      for (const name of STOP_SIGNALS) signals.off(name, onSignal);
      child?.off('disconnect', onDisconnect);
    },
  };
}
