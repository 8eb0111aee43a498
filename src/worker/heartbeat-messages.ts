/** What the thread is started with. */
export interface HeartbeatOptions {
  /** The address with every token filled in but the job ids. */
  ping: string;
  headers: Record<string, string>;
  intervalMs: number;
  /** Ids of jobs that are held already. */
  held: readonly string[];
}

export type ToHeartbeat = { type: 'held'; id: string } | { type: 'released'; id: string };

export type FromHeartbeat = { type: 'ready' } | { type: 'failed'; reason: string } | { type: 'recovered' };
