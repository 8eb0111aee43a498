import { Hono, type Context, type MiddlewareHandler } from 'hono';

import { HandlerError, InputError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { hasEnded, statusOf, type EndpointJob } from './job.ts';
import type { JobTable } from './job-table.ts';
import type { EndpointLimits } from './limits.ts';
import { parseSubmission, readBody, ttlOf, waitOf } from './requests.ts';

export interface RouteParts {
  /** Decides whose requests are taken. */
  callers: MiddlewareHandler;
  jobs: JobTable;
  limits: EndpointLimits;
  /** Has the worker begun to take jobs? */
  isReady: () => boolean;
  log: Log;
}

type Answer = Response | Promise<Response>;

/** `/stream` is answered after this, with whatever there is: its clients ask again. */
const STREAM_WAIT_MS = 10_000;
const BOTH = ['GET', 'POST'];

/** The addresses that clients of RunPod's API use, under `/v2/{endpoint}` as there and without it as its local server. */
export function createRoutes({ callers, jobs, limits, isReady, log }: RouteParts): Hono {
  const submit = async (c: Context, sync: boolean): Promise<EndpointJob | Response> => {
    const maxBytes = sync ? limits.maxSyncBytes : limits.maxAsyncBytes;
    const text = await readBody(c.req.raw, maxBytes);
    if (text === undefined) {
      return c.json({ error: `the request is larger than the ${maxBytes} bytes that are allowed here` }, 413);
    }
    const job = jobs.submit(parseSubmission(text), sync);
    log.info('Job submitted', { requestId: job.id });
    return job;
  };
  const ofJob =
    (answer: (c: Context, job: EndpointJob) => Answer) =>
    (c: Context): Answer => {
      const job = jobs.find(c.req.param('id') ?? '');
      if (job !== undefined) return answer(c, job);
      return c.json({ error: 'there is no job with this id, or its result has expired' }, 404);
    };
  const untilEnd = async (c: Context, job: EndpointJob): Promise<Response> => {
    await jobs.wait(job, () => hasEnded(job), waitOf(c.req.query('wait')), c.req.raw.signal);
    return c.json(statusOf(job));
  };

  const api = new Hono();
  api.post('/run', async (c) => {
    const job = await submit(c, false);
    return job instanceof Response ? job : c.json({ id: job.id, status: 'IN_QUEUE' });
  });
  api.post('/runsync', async (c) => {
    waitOf(c.req.query('wait'));
    const job = await submit(c, true);
    return job instanceof Response ? job : untilEnd(c, job);
  });
  api.on(
    BOTH,
    '/status/:id',
    ofJob((c, job) => {
      const keptMs = ttlOf(c.req.query('ttl'));
      if (keptMs !== undefined) jobs.keepFor(job, keptMs);
      return c.json(statusOf(job));
    }),
  );
  api.on(BOTH, '/status-sync/:id', ofJob(untilEnd));
  api.on(
    BOTH,
    '/stream/:id',
    ofJob(async (c, job) => {
      const { signal } = c.req.raw;
      await jobs.wait(job, () => job.pieces.length > 0 || hasEnded(job), STREAM_WAIT_MS, signal);
      // Where nobody is there to receive them, or asked for headers alone, they are the next one's.
      const stream = signal.aborted || c.req.method === 'HEAD' ? [] : jobs.fetchPieces(job);
      const { output: _, ...status } = statusOf(job);
      return c.json({ ...status, stream });
    }),
  );
  api.post(
    '/cancel/:id',
    ofJob((c, job) => {
      jobs.cancel(job);
      log.info('Job cancelled', { requestId: job.id, status: job.state });
      const { output: _, ...status } = statusOf(job);
      return c.json(status);
    }),
  );
  api.post(
    '/retry/:id',
    ofJob((c, job) => {
      if (!jobs.retry(job)) {
        const error = `only a job that is FAILED or TIMED_OUT can run again, this one is ${job.state}`;
        return c.json({ error, id: job.id, status: job.state }, 400);
      }
      log.info('Job is to run again', { requestId: job.id });
      return c.json({ id: job.id, status: job.state });
    }),
  );
  api.get('/health', (c) => c.json({ jobs: jobs.counts, workers: workersOf(jobs, isReady()) }));
  api.post('/purge-queue', (c) => {
    const removed = jobs.purge();
    log.info('The queue was purged', { removed });
    return c.json({ removed, status: 'completed' });
  });

  const routes = new Hono();
  routes.use(callers);
  routes.route('/', api);
  routes.route('/v2/:endpoint', api);
  routes.notFound((c) => {
    const { method, path } = c.req;
    const error =
      `${method} ${path} is no address of this endpoint: POST run, runsync, cancel/ID, retry/ID, purge-queue; ` +
      'GET health; either for status/ID, status-sync/ID, stream/ID';
    return c.json({ error }, 404);
  });
  routes.onError((error, c) => {
    if (error instanceof InputError) return c.json({ error: error.message }, 400);
    const status = error instanceof HandlerError ? STATUS_OF[error.code] : undefined;
    if (status !== undefined) return c.json({ error: error.message }, status);
    // A client that leaves in the middle of its request is no fault, and hears no answer.
    if (c.req.raw.signal.aborted) return c.json({ error: 'the request was cut off' }, 400);
    log.error('A request failed', { path: c.req.path, error });
    return c.json({ error: 'the endpoint failed to answer: its log says why' }, 500);
  });
  return routes;
}

const STATUS_OF: Readonly<Record<string, 429 | 503>> = { too_many_jobs: 429, stopping: 503 };

/** This process is the endpoint's one worker. */
function workersOf({ counts }: JobTable, ready: boolean): Record<string, number> {
  const running = counts.inProgress > 0 ? 1 : 0;
  const idle = ready && running === 0 ? 1 : 0;
  return { idle, initializing: ready ? 0 : 1, ready: idle, running, throttled: 0, unhealthy: 0 };
}
