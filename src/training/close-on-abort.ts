import type { GraphHost } from '../model/graph-host.ts';

/** Closes the host when the signal aborts, as long as this is not disposed of: nothing more of what waits is begun. */
export function closeOnAbort(signal: AbortSignal | undefined, host: Pick<GraphHost, 'close'>): Disposable {
  const onAbort = (): void => void host.close();
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return { [Symbol.dispose]: () => signal?.removeEventListener('abort', onAbort) };
}
