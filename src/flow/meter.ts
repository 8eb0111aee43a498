/** What one place of a stage does: waits for an item, works on it, or waits until the next stage takes the result. */
type PlaceState = 'waiting' | 'working' | 'held';

/** One place of a stage, from its start to its end. */
export interface Place {
  to(state: PlaceState): void;
  close(): void;
}

export interface StageGauge {
  /** A place begins, waiting. */
  open(): Place;
}

export interface StageReading {
  name: string;
  /** How many items the stage can really work on at once. */
  places: number;
  /** Averaged over its places; with the time in which it waited they make up the whole. */
  workingSeconds: number;
  heldSeconds: number;
  waitingSeconds: number;
  /** For so long the others waited for this stage. Over all stages it makes up nearly the whole. */
  limitingSeconds: number;
  /** When it first and last worked, in milliseconds of `performance.now()`; undefined where it never did. */
  firstMs: number | undefined;
  lastMs: number | undefined;
}

export interface MeterReading {
  seconds: number;
  /** In the order of the stream. */
  stages: StageReading[];
}

/**
 * Tells how the stages of a stream spend their time, and which of them holds the others back. Its memory does not grow,
 * and a change of state costs well below a microsecond for each stage.
 *
 * At any moment that is, seen from the stream's end, the first stage that has no place free: it works on as much as it
 * can, or on all that is left, while those behind it wait for it.
 */
export interface Meter {
  /** Adds a stage behind those that are there. */
  stage(name: string, places: number): StageGauge;
  /** From here on nothing is counted any more. */
  stop(): void;
  /** From the first stage's beginning up to now, or to the stop. */
  read(): MeterReading;
}

interface Stage {
  name: string;
  places: number;
  counts: Record<PlaceState, number>;
  workingMs: number;
  heldMs: number;
  limitingMs: number;
  firstMs: number | undefined;
  lastMs: number | undefined;
}

export function createMeter(clock: () => number = () => performance.now()): Meter {
  const stages: Stage[] = [];
  let begun: number | undefined;
  let last = 0;
  let stopped = false;

  /** Counts the time since the last change, with the states as they were. */
  const advance = (): void => {
    const now = clock();
    const ms = now - last;
    last = now;
    if (ms <= 0) return;
    for (const stage of stages) {
      const working = Math.min(stage.counts.working, stage.places);
      const held = Math.min(stage.counts.held, stage.places - working);
      stage.workingMs += (working / stage.places) * ms;
      stage.heldMs += (held / stage.places) * ms;
    }
    const limiting = stages.findLast(isFull);
    if (limiting !== undefined) limiting.limitingMs += ms;
  };

  const change = (stage: Stage, from: PlaceState | undefined, to: PlaceState | undefined): void => {
    if (stopped) return;
    advance();
    if (from !== undefined) stage.counts[from] -= 1;
    if (to !== undefined) stage.counts[to] += 1;
    if (to === 'working') stage.firstMs ??= last;
    if (from === 'working') stage.lastMs = last;
  };

  return {
    stage(name, places) {
      const counts = { waiting: 0, working: 0, held: 0 };
      const times = { workingMs: 0, heldMs: 0, limitingMs: 0, firstMs: undefined, lastMs: undefined };
      const stage: Stage = { name, places, counts, ...times };
      if (begun === undefined) {
        begun = clock();
        last = begun;
      }
      stages.push(stage);
      return { open: () => openPlace((from, to) => change(stage, from, to)) };
    },
    stop() {
      if (!stopped) advance();
      stopped = true;
    },
    read() {
      if (!stopped) advance();
      const totalMs = last - (begun ?? last);
      return { seconds: totalMs / 1_000, stages: stages.map((stage) => readingOf(stage, totalMs)) };
    },
  };
}

function isFull({ counts, places }: Stage): boolean {
  return counts.working > 0 && (counts.working >= places || counts.waiting === 0);
}

function openPlace(change: (from: PlaceState | undefined, to: PlaceState | undefined) => void): Place {
  let state: PlaceState | undefined = 'waiting';
  change(undefined, state);
  return {
    to(next) {
      if (state === undefined || state === next) return;
      change(state, next);
      state = next;
    },
    close() {
      if (state !== undefined) change(state, undefined);
      state = undefined;
    },
  };
}

function readingOf(stage: Stage, totalMs: number): StageReading {
  const { name, places, workingMs, heldMs, limitingMs, firstMs, lastMs } = stage;
  return {
    name,
    places,
    workingSeconds: workingMs / 1_000,
    heldSeconds: heldMs / 1_000,
    waitingSeconds: Math.max(0, totalMs - workingMs - heldMs) / 1_000,
    limitingSeconds: limitingMs / 1_000,
    firstMs,
    lastMs,
  };
}
