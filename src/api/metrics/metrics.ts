import { z } from 'zod';

import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Database, Filter } from '../../supabase/database.ts';
import type { Endpoint, EndpointHealth, RunPodJob } from '../runpod/endpoint.ts';
import { leaveShardsOut } from '../runs/leave-shards-out.ts';
import { END_STATES, RUN_KIND_NAMES, RUN_KINDS, type RunKindName } from '../runs/run-kinds.ts';
import type { EndedRun } from '../runs/runs.ts';
import { verdictOf } from '../runs/verdict.ts';
import { createCounter, expose, type Metric } from './exposition.ts';
import { countedOutput } from './job-output.ts';

/** What this process has seen since it started, and what the database and RunPod say now. */
export interface Metrics {
  /**
   * A run has ended; told once, whichever process was first to keep its result. Images are counted where they were
   * embedded, and a divided run counts as one.
   */
  runEnded(run: EndedRun, job: RunPodJob): Promise<void>;
  request(operation: string, status: number, seconds: number): void;
  /** Prometheus' text. What does not answer is left out, and counted. */
  text(signal: AbortSignal): Promise<string>;
}

export interface MetricsOptions {
  database: Database;
  endpoints: Readonly<Partial<Record<RunKindName, Endpoint>>>;
  log: Log;
}

/** The stage in which the GPU works. */
const GPU_STAGE = 'embed';
const ROW = z.object({ job_type: z.string(), collection_names: z.array(z.string()).nullable() });

export function createMetrics({ database, endpoints, log }: MetricsOptions): Metrics {
  const images = createCounter(
    'gpu_handlers_images_total',
    'Images of runs that have ended, by what came of them.',
  );
  const collections = createCounter(
    'gpu_handlers_collections_total',
    'Collections that runs have made, and those of runs that failed.',
  );
  const ended = createCounter('gpu_handlers_runs_ended_total', 'Runs whose end was seen, by state.');
  const stages = createCounter(
    'gpu_handlers_stage_seconds_total',
    'Seconds of the pipeline, by stage and by what it did: working, waiting for the stage before, held back by the one behind.',
  );
  const requests = createCounter('gpu_handlers_http_requests_total', 'Requests to this API.');
  const seconds = createCounter('gpu_handlers_http_request_seconds_total', 'Seconds that requests took.');
  const unanswered = createCounter(
    'gpu_handlers_scrape_failures_total',
    'What could not be asked for these numbers.',
  );
  const gpu = { working: 0, idle: 0 };

  const countStages = (output: unknown): void => {
    for (const [stage, spent] of Object.entries(countedOutput(output).performance.stages)) {
      stages.add({ stage, doing: 'working' }, spent.working_seconds);
      stages.add({ stage, doing: 'waiting' }, spent.waiting_seconds);
      stages.add({ stage, doing: 'held_back' }, spent.held_back_seconds);
      if (stage !== GPU_STAGE) continue;
      gpu.working += spent.working_seconds;
      gpu.idle += spent.waiting_seconds + spent.held_back_seconds;
    }
  };
  const countImages = (output: unknown): void => {
    const {
      processed_count: written,
      unchanged_count: unchanged,
      failed_by_code: codes,
    } = countedOutput(output);
    images.add({ outcome: 'written', code: '' }, written);
    images.add({ outcome: 'unchanged', code: '' }, unchanged);
    for (const [code, count] of Object.entries(codes)) images.add({ outcome: 'failed', code }, count);
  };
  const countCollections = async (id: string, state: string): Promise<void> => {
    const filters = [{ column: 'id', op: 'eq', value: id } as const];
    const columns = Object.keys(ROW.shape).join(',');
    const row = await database.find({ table: 'embedding_jobs', columns, schema: ROW, filters });
    const count = row?.collection_names?.length ?? 0;
    if (state === 'failed') collections.add({ outcome: 'failed' }, count);
    if (state === 'completed' && row?.job_type === 'full') collections.add({ outcome: 'created' }, count);
  };
  /** What the source says, or nothing and a count. */
  const asked = async (source: string, ask: () => Promise<Metric[]>): Promise<Metric[]> => {
    try {
      return await ask();
    } catch (error) {
      unanswered.add({ source });
      log.warn('Metrics are told without what does not answer', { source, reason: messageOf(error) });
      return [];
    }
  };

  return {
    async runEnded({ kind, id, part }, job) {
      const state = verdictOf(kind, job)?.state;
      if (state === undefined) return;
      if (part !== 'shard') ended.add({ kind, status: state });
      if (kind !== 'embedding') return;
      if (part !== 'whole') {
        countImages(job.output);
        countStages(job.output);
      }
      if (part === 'shard') return;
      await countCollections(id, state).catch((error: unknown) => {
        log.warn('A run is counted without its collections', { run: id, reason: messageOf(error) });
      });
    },
    request(operation, status, took) {
      requests.add({ operation, status: String(status) });
      seconds.add({ operation }, took);
    },
    async text(signal) {
      const now = await Promise.all([
        asked('supabase', async () => [await runsByState(database, signal)]),
        asked('runpod', () => queues(endpoints, signal)),
      ]);
      const counted = [ended, images, collections, stages, requests, seconds, unanswered];
      return expose([...now.flat(), gpuWaiting(gpu), ...counted.map((counter) => counter.metric())]);
    },
  };
}

function gpuWaiting({ working, idle }: { working: number; idle: number }): Metric {
  const whole = working + idle;
  return {
    name: 'gpu_handlers_gpu_waiting_share',
    type: 'gauge',
    help: 'Of the time of runs that have ended, the share in which the model had nothing to do.',
    samples: whole === 0 ? [] : [{ labels: {}, value: idle / whole }],
  };
}

async function runsByState(database: Database, signal: AbortSignal): Promise<Metric> {
  const wanted = RUN_KIND_NAMES.flatMap((kind) =>
    [...RUN_KINDS[kind].unfinished, ...END_STATES].map((status) => ({ kind, status })),
  );
  const samples = await Promise.all(
    wanted.map(async ({ kind, status }) => {
      const { table } = RUN_KINDS[kind];
      const isSo: Filter = { column: 'status', op: 'eq', value: status };
      const count = (among: readonly Filter[] = []): Promise<number> =>
        database.count({ table, filters: [isSo, ...among], signal });
      const value = kind === 'embedding' ? await leaveShardsOut(count) : await count();
      return { labels: { kind, status }, value };
    }),
  );
  return {
    name: 'gpu_handlers_runs',
    type: 'gauge',
    help: 'Runs by kind and state, as their rows say; of a divided run the whole.',
    samples,
  };
}

async function queues(endpoints: MetricsOptions['endpoints'], signal: AbortSignal): Promise<Metric[]> {
  const asked = await Promise.all(
    RUN_KIND_NAMES.map(async (kind) => ({ kind, health: await endpoints[kind]?.health(signal) })),
  );
  const known = asked.flatMap(({ kind, health }) => (health === undefined ? [] : [{ kind, health }]));
  const of = (
    name: string,
    help: string,
    values: (health: EndpointHealth) => Record<string, number | undefined>,
  ): Metric => ({
    name,
    type: 'gauge',
    help,
    samples: known.flatMap(({ kind, health }) =>
      Object.entries(values(health)).map(([state, value]) => ({
        labels: { kind, state },
        value: value ?? 0,
      })),
    ),
  });
  return [
    of('gpu_handlers_queue_jobs', 'Jobs at RunPod: waiting for a worker, and at one.', ({ jobs }) => ({
      waiting: jobs.inQueue,
      running: jobs.inProgress,
    })),
    of('gpu_handlers_workers', "Workers of RunPod's endpoints.", ({ workers }) => ({ ...workers })),
  ];
}
