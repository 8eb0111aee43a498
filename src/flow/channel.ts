/** A bounded queue between a producer and one consumer. */
export interface Channel<T> extends AsyncIterable<T> {
  /** Resolves when there is room: true, or false when nobody will read any more. */
  push(item: T): Promise<boolean>;
  /** No more items; the consumer reads what is queued, then ends, or throws the error. */
  close(error?: unknown): void;
  /** The consumer has left: every waiting `push` resolves false. */
  abandon(): void;
}

export function createChannel<T>(capacity: number): Channel<T> {
  const queue: T[] = [];
  const writers: (() => void)[] = [];
  let wakeReader: (() => void) | undefined;
  let end: { error?: unknown } | undefined;
  let abandoned = false;

  const wakeAll = (): void => {
    for (const wake of writers.splice(0)) wake();
    wakeReader?.();
  };

  return {
    async push(item) {
      while (!abandoned && end === undefined && queue.length >= capacity) {
        await new Promise<void>((resolve) => writers.push(resolve));
      }
      // eslint sees the loop's condition only; both may have changed while waiting.
      if (isOver()) return false;
      queue.push(item);
      wakeReader?.();
      return true;
    },
    close(error) {
      end ??= error === undefined ? {} : { error };
      wakeAll();
    },
    abandon() {
      abandoned = true;
      queue.length = 0;
      wakeAll();
    },
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          // An error overtakes what is queued: it is not worth finishing a stream that has failed.
          if (end !== undefined && 'error' in end) throw end.error;
          const item = queue.shift();
          if (item !== undefined) {
            writers.shift()?.();
            yield item;
          } else if (end !== undefined) {
            return;
          } else {
            await new Promise<void>((resolve) => {
              wakeReader = resolve;
            });
            wakeReader = undefined;
          }
        }
      } finally {
        this.abandon();
      }
    },
  };

  function isOver(): boolean {
    return abandoned || end !== undefined;
  }
}
