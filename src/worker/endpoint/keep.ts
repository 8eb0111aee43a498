/** How long what an endpoint knows is kept, and how much of it. */
export interface Keep {
  /** One timer for each id: whatever was armed before is off. It keeps no process alive. */
  arm(id: string, ms: number, run: () => void): void;
  /** Adds to what is held for the id, or takes away. */
  weigh(id: string, bytes: number): void;
  /** What is held for the id is this and nothing else; it is none of the finished. */
  weighAnew(id: string, bytes: number): void;
  /** From now on the id may be forgotten: after so long, or earlier where room is needed. */
  finished(id: string, ms: number): void;
  /** Is there room for so much more? Forgets the oldest of what is finished to make it. */
  room(bytes: number): boolean;
}

interface Held {
  bytes: number;
  timer: NodeJS.Timeout | undefined;
}

export function createKeep(maxBytes: number, forget: (id: string) => void): Keep {
  const held = new Map<string, Held>();
  /** Oldest first. */
  const done = new Set<string>();
  let total = 0;

  const of = (id: string): Held => {
    const found = held.get(id) ?? { bytes: 0, timer: undefined };
    held.set(id, found);
    return found;
  };
  const weigh = (id: string, bytes: number): void => {
    of(id).bytes += bytes;
    total += bytes;
  };
  const arm = (id: string, ms: number, run: () => void): void => {
    const entry = of(id);
    clearTimeout(entry.timer);
    entry.timer = setTimeout(run, ms).unref();
  };
  const drop = (id: string): void => {
    const entry = of(id);
    clearTimeout(entry.timer);
    total -= entry.bytes;
    held.delete(id);
    done.delete(id);
    forget(id);
  };
  return {
    arm,
    weigh,
    weighAnew(id, bytes) {
      done.delete(id);
      weigh(id, bytes - of(id).bytes);
    },
    finished(id, ms) {
      done.add(id);
      arm(id, ms, () => drop(id));
    },
    room(bytes) {
      for (const id of done) {
        if (total + bytes <= maxBytes) break;
        drop(id);
      }
      return total + bytes <= maxBytes;
    },
  };
}
