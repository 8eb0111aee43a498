import { createHash } from 'node:crypto';

import { dice, type Dice } from '../corpus/mutate.ts';

export type Edge = 'images' | 'supabase' | 'qdrant';

/** What becomes of one request. */
export type Fault =
  /** Answered in the other server's place, and not passed on. */
  | { kind: 'status'; status: number; retryAfter?: number }
  /** The connection ends before the request is passed on. */
  | { kind: 'cut_before' }
  /** The request is passed on and done, and nobody is told. */
  | { kind: 'cut_after' }
  /** The connection is reset, or closed in good order, in the middle of the answer's body. */
  | { kind: 'cut_within' }
  | { kind: 'ends_early' }
  /** Nothing for a while, and then the end of the connection, as a gateway does that gave up. */
  | { kind: 'stall'; ms: number };

/** Something that happens to the processes when they have sent so many requests since the last start. */
export interface Event {
  at: number;
  what: 'SIGKILL' | 'SIGTERM' | 'twin';
  /** Which of the processes of this start it happens to. */
  which: number;
}

/** A store is away for so long from its nth request on. */
interface Absence {
  from: number;
  ms: number;
  how: Fault;
}

/** All that happens in a seed's run. Requests are looked at one by one: see `faultOf`. */
export interface Schedule {
  seed: number;
  /** One list for each disturbed start; the starts after them are left alone. */
  starts: Event[][];
  away: Partial<Record<Edge, Absence>>;
  /** Qdrant refuses larger writes with 413 all along, as a server with a strict limit does. */
  maxPointsInWrite: number | undefined;
}

const EVENTS = ['SIGKILL', 'SIGKILL', 'SIGTERM', 'SIGTERM', 'twin'] as const;
const MAX_DISTURBED_STARTS = 3;
/** Of the requests of an undisturbed run: a start that goes on after another has fewer of them. */
const DEATHS_WITHIN = [0.8, 0.5, 0.3];
/** Requests after a SIGTERM until the platform has no more patience, where it has none. */
const LAST_REQUESTS = 30;
const MAX_AWAY_MS = 2_000;
const WRITE_LIMITS = [undefined, 5, undefined];

/**
 * The same for the same seed. `requests` is how many an undisturbed run sends: events lie within them, so that the first
 * start of every seed meets a death.
 */
export function createSchedule(seed: number, requests: number): Schedule {
  const roll = dice(seed);
  const starts = Array.from({ length: 1 + roll(MAX_DISTURBED_STARTS) }, (_, start): Event[] => {
    const within = Math.ceil(requests * (DEATHS_WITHIN[start] ?? 0));
    const event: Event = { at: 1 + roll(within), what: EVENTS[roll(EVENTS.length)] ?? 'SIGKILL', which: 0 };
    const killed = (last: number, which: number): Event => ({
      at: event.at + 1 + roll(last),
      what: 'SIGKILL',
      which,
    });
    // Draining is cut short, every other time.
    if (event.what === 'SIGTERM') return roll(2) === 0 ? [event] : [event, killed(LAST_REQUESTS, 0)];
    if (event.what !== 'twin') return [event];
    event.at = Math.ceil(event.at / 2);
    // One of the two dies, most often: what it had begun is the other's.
    return start > 0 && roll(4) === 0 ? [event] : [event, killed(Math.ceil(within / 2), roll(2))];
  });
  const absence = (most: number): Absence => ({
    from: 1 + roll(most),
    ms: 500 + roll(MAX_AWAY_MS - 500),
    how: roll(2) === 0 ? { kind: 'status', status: 503 } : { kind: 'cut_before' },
  });
  return {
    seed,
    starts,
    away: {
      ...(roll(2) === 0 && { supabase: absence(40) }),
      ...(roll(2) === 0 && { qdrant: absence(30) }),
    },
    maxPointsInWrite: WRITE_LIMITS[roll(WRITE_LIMITS.length)],
  };
}

/** Faults of one request in a row that every right client outlives: images are tried three times. */
const MOST_ON_AN_IMAGE = 2;
const MOST_IN_A_ROW = 3;
/** Of one store in one run; then it behaves. Each costs its client a wait. */
const MOST_ON_A_STORE = 14;
const ONE_IN = 9;

/** A server that says 501 means it for good. */
const passingStatus = (roll: Dice): Fault => ({
  kind: 'status',
  status: [500, 502, 503, 504][roll(4)] ?? 503,
});
const RETRY_LATER: Fault = { kind: 'status', status: 429, retryAfter: 1 };
const IMAGE_FAULTS: readonly ((roll: Dice) => Fault)[] = [
  passingStatus,
  (roll) => (roll(3) === 0 ? RETRY_LATER : { kind: 'status', status: 429, retryAfter: 0 }),
  () => ({ kind: 'cut_before' }),
  () => ({ kind: 'cut_within' }),
  () => ({ kind: 'ends_early' }),
  (roll) => ({ kind: 'stall', ms: 100 + roll(500) }),
];
const STORE_FAULTS: readonly ((roll: Dice) => Fault)[] = [
  passingStatus,
  (roll) => (roll(2) === 0 ? RETRY_LATER : { kind: 'status', status: 429 }),
  () => ({ kind: 'cut_before' }),
  () => ({ kind: 'cut_after' }),
  () => ({ kind: 'cut_within' }),
  () => ({ kind: 'cut_after' }),
  (roll) => ({ kind: 'stall', ms: 200 + roll(800) }),
];

export interface AskedRequest {
  method: string;
  /** Without its query. */
  path: string;
  body: string;
}

export interface Faults {
  /** What happens to the next request of this kind; undefined: nothing. */
  faultOf(edge: Edge, request: AskedRequest): Fault | undefined;
  /** Latency of an image, most often none. */
  delayOf(edge: Edge, request: AskedRequest): number;
  /** From now on nothing happens any more. */
  stop(): void;
  /** Faults so far, by edge and kind. */
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * Decides on each request by the seed, its method and path, and how often it came: not by the order in which requests
 * come in, which timing decides. Faults pass: no image gets more of them in all than its downloader has tries to spare,
 * no request to a store more than three in a row. So a right worker reaches the undisturbed end, whatever the seed.
 */
export function createFaults(schedule: Schedule): Faults {
  const asked = new Map<string, number>();
  const inARow = new Map<string, number>();
  const spent: Record<string, number> = {};
  const seen: Record<Edge, number> = { images: 0, supabase: 0, qdrant: 0 };
  const gone: Partial<Record<Edge, number>> = {};
  const counts: Record<string, number> = {};
  let stopped = false;

  const count = (edge: Edge, fault: Fault): Fault => {
    const name = `${edge} ${fault.kind === 'status' ? fault.status : fault.kind}`;
    counts[name] = (counts[name] ?? 0) + 1;
    return fault;
  };

  const absent = (edge: Edge): Fault | undefined => {
    const absence = schedule.away[edge];
    if (absence === undefined || seen[edge] < absence.from) return undefined;
    gone[edge] ??= performance.now() + absence.ms;
    return performance.now() < gone[edge] ? absence.how : undefined;
  };

  const drawn = (edge: Edge, key: string): Fault | undefined => {
    const times = (asked.get(key) ?? 0) + 1;
    asked.set(key, times);
    const roll = rollOf(schedule.seed, key, times);
    const before = inARow.get(key) ?? 0;
    const isImage = edge === 'images' || isDownload(key);
    const most = isImage ? MOST_ON_AN_IMAGE : MOST_IN_A_ROW;
    const kinds = isImage ? IMAGE_FAULTS : STORE_FAULTS;
    const left = isImage || (spent[edge] ?? 0) < MOST_ON_A_STORE;
    if (roll(ONE_IN) > 0 || before >= most || !left) {
      // Of an image they are counted in all: two workers, or two runs, may share them.
      if (!isImage) inARow.set(key, 0);
      return undefined;
    }
    inARow.set(key, before + 1);
    if (!isImage) spent[edge] = (spent[edge] ?? 0) + 1;
    return kinds[roll(kinds.length)]?.(roll);
  };

  return {
    faultOf(edge, request) {
      seen[edge] += 1;
      if (edge === 'qdrant' && isTooLarge(request, schedule.maxPointsInWrite)) {
        return count(edge, { kind: 'status', status: 413 });
      }
      if (stopped) return undefined;
      const key = `${edge} ${request.method} ${request.path}`;
      const fault = (isDownload(key) ? undefined : absent(edge)) ?? drawn(edge, key);
      return fault && count(edge, fault);
    },
    delayOf(edge, { path }) {
      if (stopped || edge !== 'images') return 0;
      const roll = rollOf(schedule.seed, `delay ${path}`, 1);
      return roll(4) === 0 ? roll(150) : 0;
    },
    stop() {
      stopped = true;
    },
    counts,
  };
}

/** Of a file that lies in Supabase's storage: to the worker an image like any other. */
function isDownload(key: string): boolean {
  return key.includes(' GET /storage/');
}

function isTooLarge({ method, path, body }: AskedRequest, most: number | undefined): boolean {
  if (most === undefined || method !== 'PUT' || !path.endsWith('/points')) return false;
  const { points = [] } = JSON.parse(body) as { points?: unknown[] };
  return points.length > most;
}

function rollOf(seed: number, key: string, times: number): Dice {
  return dice(
    createHash('sha256')
      .update(JSON.stringify([seed, key, times]))
      .digest()
      .readUInt32LE(0),
  );
}
