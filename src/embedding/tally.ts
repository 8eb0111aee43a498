import { redact } from '../base/redact.ts';
import { storableText } from '../base/storable-text.ts';
import type { FailedImage } from './embedded-image.ts';
import type { ImageRef } from './image-ref.ts';

/** One failed image as the output and the optional table tell it. */
export interface Failure {
  id: string;
  type: 'product' | 'cutout';
  collection: string;
  /** As stored, without what opens it: a password or a signature in the address is hidden. */
  url: string;
  /** Stable: docs/failure-codes.md. */
  code: string;
  message: string;
  /** Could the same image succeed if the job ran again? */
  retryable: boolean;
}

export interface CollectionTally {
  /** Images the counting pass found for it. */
  total: number;
  /** By this run, or by an earlier run of this job. */
  points_written: number;
  product: number;
  cutout: number;
  /** Their point was made of the bytes that they still have: `append_only_new`. */
  unchanged: number;
  failed: number;
}

/** What has happened to a job's images so far. Bounded: the first failures in full, the rest as counts. */
export interface Tally {
  readonly collections: ReadonlyMap<string, CollectionTally>;
  readonly failures: readonly Failure[];
  readonly failedByCode: Readonly<Record<string, number>>;
  readonly processed: number;
  readonly failed: number;
  readonly unchanged: number;
  readonly total: number;
  /** How many of the processed images an earlier run has done. */
  readonly resumedCount: number;
  /** How many were not fetched, as another image of this run had their url. */
  readonly sameUrlCount: number;
  expect(collection: string, images: number): void;
  /** Every image was answered: the totals are what was met, whatever the counting pass had found. */
  close(): void;
  written(collection: string, refs: readonly ImageRef[]): void;
  /** Written too, by an earlier run of this job. */
  resumed(refs: readonly ImageRef[]): void;
  /** Answered by another image of their url. */
  readonly repeated: (images: number) => void;
  unchangedAre(refs: readonly ImageRef[]): void;
  failedWith(failed: FailedImage): Failure;
}

const FAILURES_KEPT = 100;
const MESSAGE_CHARS = 500;
const URL_CHARS = 500;

export function createTally(): Tally {
  const collections = new Map<string, CollectionTally>();
  const failures: Failure[] = [];
  const failedByCode: Record<string, number> = {};
  const of = (name: string): CollectionTally => {
    const tally = collections.get(name) ?? {
      total: 0,
      points_written: 0,
      product: 0,
      cutout: 0,
      unchanged: 0,
      failed: 0,
    };
    collections.set(name, tally);
    return tally;
  };
  let resumedCount = 0;
  let sameUrlCount = 0;
  const written = (collection: string, refs: readonly ImageRef[]): void => {
    const tally = of(collection);
    tally.points_written += refs.length;
    for (const { type } of refs) tally[type] += 1;
  };
  const sum = (key: 'total' | 'points_written' | 'unchanged' | 'failed'): number =>
    collections.values().reduce((n, tally) => n + tally[key], 0);

  return {
    collections,
    failures,
    failedByCode,
    get processed() {
      return sum('points_written');
    },
    get failed() {
      return sum('failed');
    },
    get unchanged() {
      return sum('unchanged');
    },
    get total() {
      // Rows may have been added since they were counted, and `close` sees to those that went.
      return Math.max(sum('total'), sum('points_written') + sum('unchanged') + sum('failed'));
    },
    expect(collection, images) {
      of(collection).total += images;
    },
    close() {
      for (const tally of collections.values())
        tally.total = tally.points_written + tally.unchanged + tally.failed;
    },
    get resumedCount() {
      return resumedCount;
    },
    get sameUrlCount() {
      return sameUrlCount;
    },
    repeated(images) {
      sameUrlCount += images;
    },
    written,
    resumed(refs) {
      resumedCount += refs.length;
      for (const ref of refs) written(ref.collection, [ref]);
    },
    unchangedAre(refs) {
      for (const ref of refs) of(ref.collection).unchanged += 1;
    },
    failedWith({ ref, error }) {
      of(ref.collection).failed += 1;
      failedByCode[error.code] = (failedByCode[error.code] ?? 0) + 1;
      const failure: Failure = {
        id: ref.id,
        type: ref.type,
        collection: ref.collection,
        url: storableText(redact(ref.url), URL_CHARS),
        code: error.code,
        message: storableText(error.message, MESSAGE_CHARS),
        retryable: error.retryable,
      };
      if (failures.length < FAILURES_KEPT) failures.push(failure);
      return failure;
    },
  };
}
