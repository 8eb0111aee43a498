import type { Rebuilt } from '../qdrant/rebuild/finish.ts';
import type { VectorStore } from '../qdrant/store.ts';
import type { ImageRef } from './image-ref.ts';
import type { CollectionTally } from './tally.ts';

/** The collections that a job writes to: as they are, or filled anew beside what serves. */
export interface JobTargets {
  /** By which searches know them; in the order in which the job writes to them. */
  readonly names: readonly string[];
  /** Reads and writes what the job fills, by these names. */
  readonly store: VectorStore;
  /** The job whose points count as done; undefined: whoever wrote them, as nobody else writes there. */
  readonly doneBy: string | undefined;
  /** Do searches see what the job writes? */
  readonly isServing: boolean;
  /** Refuses what could not be filled, or not be switched in the end. Writes nothing. */
  check(signal: AbortSignal): Promise<void>;
  /** When it resolves, what is filled is there, for vectors of this length; `counts` has the images to come. */
  begin(size: number, counts: ReadonlyMap<string, number>, signal: AbortSignal): Promise<void>;
  /** Told of images that have their point. */
  met(refs: readonly ImageRef[]): void;
  /**
   * Every image was written or failed: what was filled anew is checked and switched to.
   * @throws HandlerError where it is not to serve, or where somebody else has switched meanwhile.
   */
  finish(end: TargetsEnd): Promise<readonly Rebuilt[] | undefined>;
}

/** What was done for a collection. */
export type Filled = Pick<CollectionTally, 'points_written' | 'failed' | 'cutout'>;

interface TargetsEnd {
  collections: ReadonlyMap<string, Filled>;
  /** These are of all jobs that have filled them, and this one ends them all. */
  together?: boolean;
  model: { fingerprint: string; dim: number };
  /** Asked before anything is switched: does the job still have its row? */
  confirm: () => Promise<void>;
  warn: (message: string) => void;
  signal: AbortSignal;
  /** Follows it with a delay: a switch that has begun is brought to its end. */
  lateSignal: AbortSignal;
}
