import type { IncomingHttpHeaders } from 'node:http';

import type { Route } from './rules.ts';

/** One request of a worker. */
export interface RecordedRequest {
  route: Route;
  /** Milliseconds since 1970, with fractions: when the request had arrived whole. */
  time: number;
  method: string;
  path: string;
  query: Readonly<Record<string, string>>;
  headers: IncomingHttpHeaders;
  /** As it came. */
  body: string;
  workerId: string;
  jobId: string | undefined;
  /** What was answered; absent while nothing is, and where the connection was cut. */
  status?: number;
}

/** A post that ended a job. */
interface FinalPost {
  time: number;
  workerId: string;
  output?: unknown;
  error?: unknown;
  stopPod?: unknown;
  isStream: boolean;
}

/** Progress, or a chunk of a stream. */
interface Posted {
  time: number;
  output: unknown;
}

/** Something that today's service, or whoever reads its results, would not take. */
interface Violation {
  route: Route;
  jobId: string | undefined;
  message: string;
}

/** What workers sent. */
export interface Records {
  /** Every request, oldest first; the oldest are forgotten beyond the limit. */
  readonly requests: readonly RecordedRequest[];
  /** Final posts that were accepted, by job: exactly one each, of a worker that is right. */
  readonly results: ReadonlyMap<string, readonly FinalPost[]>;
  readonly progress: ReadonlyMap<string, readonly Posted[]>;
  readonly streams: ReadonlyMap<string, readonly Posted[]>;
  readonly violations: readonly Violation[];
}

export interface Recorder extends Records {
  readonly requests: RecordedRequest[];
  readonly results: Map<string, FinalPost[]>;
  readonly progress: Map<string, Posted[]>;
  readonly streams: Map<string, Posted[]>;
  readonly violations: Violation[];
  /** Counts of final posts, kept whether anything else is or not. */
  finals: number;
  request(entry: RecordedRequest): void;
  violation(entry: Violation): void;
  clear(): void;
}

/** @param limit requests and violations that are kept at most; 0: counts alone. */
export function createRecorder(limit: number): Recorder {
  const keep = <T>(list: T[], entry: T): void => {
    if (limit === 0) return;
    list.push(entry);
    // Not one by one: moving the whole list for each request would cost more than the request.
    if (list.length > limit * 1.25) list.splice(0, list.length - limit);
  };
  return {
    requests: [],
    results: new Map(),
    progress: new Map(),
    streams: new Map(),
    violations: [],
    finals: 0,
    request(entry) {
      keep(this.requests, entry);
    },
    violation(entry) {
      keep(this.violations, entry);
    },
    clear() {
      this.requests.length = 0;
      this.violations.length = 0;
      for (const posts of [this.results, this.progress, this.streams]) posts.clear();
      this.finals = 0;
    },
  };
}

/** Adds to the list of a key. */
export function addTo<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
