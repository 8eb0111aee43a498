import { StoppedError } from '../base/errors.ts';
import { lingering } from '../flow/time.ts';

type Follower = ReturnType<typeof lingering>;

/** When what ends, after a job was told to stop. */
export interface StopTimes {
  /** Follows the stop at once; a shutdown only when the time is over in which what was fetched may be brought through. */
  end: Follower;
  /** Follows that one: so long the writes that are under way then may take. */
  late: Follower;
  /** How long the row may take that is left behind at a shutdown. */
  leaveMs: (reason: unknown) => number;
}

/** What is under way when a job is told to stop has so long to end; the page and the platform wait for little more. */
const LATE_MS = 3_000;
/** Where nobody said how long a shutdown may take: what a worker of ours gives a handler of a container's ten seconds. */
const GRACE_MS = 8_000;
/** Parts of the grace: for bringing through what was fetched, for the writes after that, for the job's row. */
const DRAIN = 0.65;
const WRITES = 0.1;
const ROW = 0.2;

export function stopTimes(stop: AbortSignal): StopTimes {
  const end = lingering(stop, (reason) => (isShutdown(reason) ? graceOf(reason) * DRAIN : 0));
  const late = lingering(end.signal, (reason) => (isShutdown(reason) ? graceOf(reason) * WRITES : LATE_MS));
  return { end, late, leaveMs: (reason) => graceOf(reason) * ROW };
}

function isShutdown(reason: unknown): boolean {
  return reason instanceof StoppedError && reason.code === 'shutdown';
}

function graceOf(reason: unknown): number {
  return (reason instanceof StoppedError ? reason.graceMs : undefined) ?? GRACE_MS;
}
