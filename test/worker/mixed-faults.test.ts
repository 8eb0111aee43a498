import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { StoppedError } from '../../src/base/errors.ts';
import { SILENT_LOG } from '../../src/base/log.ts';
import type { Platform } from '../../src/worker/platform.ts';
import { connectRunPod } from '../../src/worker/runpod-platform.ts';
import type { RuleInput } from '../../src/worker/simulator/rules.ts';
import { startSimulator, type Simulator } from '../../src/worker/simulator/simulator.ts';
import type { AnyHandler } from '../../src/worker/types.ts';
import { runWorker } from '../../src/worker/worker.ts';

const SCENARIOS = 48;
/** Each has a worker and its thread; they mostly wait. */
const AT_ONCE = 8;
const SEED = 20_260_101;
const GRACE_MS = 20_000;

/** A result that was on its way when its job was cancelled: nobody is wrong. Whether the worker knew is looked at here. */
const CROSSED = 'a final post for a job that was stopped';

/** What a job's handler does. `stubborn` takes no notice of its signal. */
const WORK = ['value', 'throw', 'bigint', 'progress', 'stream', 'patient', 'stubborn', 'tidy'] as const;

const scenario = fc.record({
  concurrency: fc.integer({ min: 1, max: 4 }),
  jobs: fc.array(
    fc.record({
      work: fc.constantFrom(...WORK),
      ms: fc.integer({ min: 0, max: 400 }),
      timeoutMs: fc.option(fc.integer({ min: 20, max: 300 }), { nil: undefined }),
      /** When the platform cancels it, from its submission on; and whether somebody submits it again then. */
      stopAfterMs: fc.option(fc.integer({ min: 0, max: 500 }), { nil: undefined }),
      again: fc.boolean(),
      submittedAtMs: fc.integer({ min: 0, max: 600 }),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  faults: fc.array(
    fc.record({
      route: fc.constantFrom<RuleInput['route']>(
        'take',
        'take-batch',
        'done',
        'progress',
        'stream',
        'ping',
        'stop',
      ),
      nth: fc.integer({ min: 1, max: 4 }),
      times: fc.integer({ min: 1, max: 2 }),
      delayMs: fc.integer({ min: 0, max: 100 }),
      outcome: fc.constantFrom<RuleInput['outcome']>('cut', { status: 500 }, { status: 503 }),
    }),
    { maxLength: 6 },
  ),
  /** The final post that is refused for good: an error takes its place. Were that refused too, there would be none. */
  refused: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  /** When the worker is told to stop; undefined: when all is answered. */
  shutdownAtMs: fc.option(fc.integer({ min: 0, max: 1_200 }), { nil: undefined }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never;
type JobOfScenario = Scenario['jobs'][number];

const handler: AnyHandler = async function* (job, { signal, progress }) {
  yield* [];
  const { work, ms } = job.input as JobOfScenario;
  const waited = work === 'stubborn' ? sleep(ms) : sleep(ms, undefined, { signal });
  waited.catch(() => undefined);
  if (work === 'progress') for (let n = 0; n < 20; n++) progress({ n });
  if (work === 'stream') for (let n = 0; n < 5; n++) yield n;
  await waited.catch(async () => {
    // One that tidies up takes longer than it was asked to.
    if (work === 'tidy') await sleep(ms);
    else if (work === 'patient') throw signal.reason as Error;
  });
  if (work === 'throw') throw Object.assign(new Error(), { message: { code: 7 } });
  if (work === 'bigint') yield 1n;
};

interface Seen {
  /** Every hand-out that reached the worker. */
  taken: Map<string, number>;
  /** Jobs whose cancel reached the worker, each with its number of hand-outs till then. */
  cancelled: Map<string, number>;
  held: Set<string>;
  faults: string[];
}

/** The platform, with a note of what passed between it and the worker. */
function watched(platform: Platform, seen: Seen): Platform {
  return {
    ...platform,
    async take(...args) {
      const jobs = await platform.take(...args);
      for (const { id } of jobs) seen.taken.set(id, (seen.taken.get(id) ?? 0) + 1);
      return jobs;
    },
    async stops(signal) {
      const ids = await platform.stops(signal);
      for (const id of ids) seen.cancelled.set(id, seen.taken.get(id) ?? 0);
      return ids;
    },
    done(delivery) {
      const { jobId } = delivery;
      if (!seen.held.has(jobId)) seen.faults.push(`${jobId} is posted and not held`);
      if (seen.cancelled.get(jobId) === seen.taken.get(jobId))
        seen.faults.push(`${jobId} is posted, and cancelled`);
      return platform.done(delivery);
    },
    held(id) {
      if (seen.held.has(id)) seen.faults.push(`${id} is held twice`);
      seen.held.add(id);
      platform.held(id);
    },
    released(id) {
      if (!seen.held.delete(id)) seen.faults.push(`${id} is released and not held`);
      platform.released(id);
    },
  };
}

async function submitAll(simulator: Simulator, { jobs }: Scenario, seen: Seen): Promise<void> {
  await Promise.all(
    jobs.map(async (job, i) => {
      const id = `job${String(i)}`;
      const policy = job.timeoutMs === undefined ? {} : { policy: { executionTimeout: job.timeoutMs } };
      await sleep(job.submittedAtMs);
      simulator.submit(job, { id, ...policy });
      if (job.stopAfterMs === undefined) return;
      await sleep(job.stopAfterMs);
      const wasTaken = seen.taken.has(id);
      if (!simulator.stop(id) || !job.again) return;
      // Whoever submits it again does it after the worker was told.
      if (wasTaken) await until(() => seen.cancelled.has(id));
      simulator.submit({ ...job, work: 'value', ms: 0 }, { id });
    }),
  );
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await sleep(20);
}

/** Plays it to its end. What was wrong; nothing where all was right. */
async function faultsOf(play: Scenario): Promise<string[]> {
  await using simulator = await startSimulator({ longPollMs: 2_000 });
  const env = simulator.env('w1');
  const settings = {
    ...env,
    RUNPOD_PING_INTERVAL: 50,
    RUNPOD_LOG_LEVEL: undefined,
    RUNPOD_DEBUG_LEVEL: undefined,
  };
  const seen: Seen = { taken: new Map(), cancelled: new Map(), held: new Set(), faults: [] };
  const stop = new AbortController();
  for (const rule of play.faults) simulator.script(rule);
  if (play.refused !== undefined)
    simulator.script({ route: 'done', nth: play.refused, times: 1, outcome: { status: 400 } });
  const running = runWorker(
    handler,
    { concurrency: play.concurrency, shutdownGraceMs: GRACE_MS },
    {
      platform: watched(connectRunPod(settings, 'w1', SILENT_LOG), seen),
      identity: { workerId: 'w1', hostname: 'h1' },
      jobTimeoutMs: undefined,
      log: SILENT_LOG,
      stop: stop.signal,
    },
  );
  const submitting = submitAll(simulator, play, seen);
  if (play.shutdownAtMs === undefined) {
    await submitting;
    await until(() => simulator.waiting === 0 && seen.held.size === 0);
  } else {
    await sleep(play.shutdownAtMs);
  }
  stop.abort(new StoppedError('shutdown', 'the scenario is over'));
  const code = await running;
  await submitting;
  return [...judge(simulator, play, seen), ...(code === 0 ? [] : [`exit code ${String(code)}`])];
}

function judge(simulator: Simulator, { jobs }: Scenario, { taken, cancelled, held, faults }: Seen): string[] {
  const found = [...faults];
  for (const { jobId, message } of simulator.violations)
    if (message !== CROSSED) found.push(`${String(jobId)}: ${message}`);
  if (held.size > 0) found.push(`still held: ${[...held].join()}`);
  for (const [i, { work }] of jobs.entries()) {
    const id = `job${String(i)}`;
    const posts = simulator.results.get(id)?.length ?? 0;
    // The hand-outs up to a cancel have no result; each later one has exactly one.
    const wanted = (taken.get(id) ?? 0) - (cancelled.get(id) ?? 0);
    const wasStopped = cancelled.has(id);
    if (wasStopped ? posts < wanted || posts > wanted + 1 : posts !== wanted)
      found.push(`${id} has ${String(posts)} final posts of ${String(wanted)}`);
    // An error in the stream has no output.
    const pieces = (simulator.streams.get(id) ?? []).filter(({ output }) => output !== undefined);
    if (work === 'stream' && pieces.some(({ output }, place) => output !== place))
      found.push(`${id} streamed ${JSON.stringify(pieces)}`);
  }
  const known = new Set(taken.keys());
  const named = simulator.requests.flatMap(({ route, query }) =>
    route === 'ping' ? (query.job_id ?? '').split(',').filter((id) => id !== '') : [],
  );
  found.push(...named.filter((id) => !known.has(id)).map((id) => `a heartbeat names ${id}`));
  return found;
}

test('in any mixture of faults, cancels, time-outs and shutdowns each job has exactly one final post', async () => {
  const plays = fc.sample(scenario, { numRuns: SCENARIOS, seed: SEED });
  for (let i = 0; i < plays.length; i += AT_ONCE) {
    await Promise.all(
      plays.slice(i, i + AT_ONCE).map(async (play) => {
        const faults = await faultsOf(play);
        expect(faults.length === 0 ? '' : JSON.stringify({ faults, play }, null, 1)).toBe('');
      }),
    );
  }
}, 300_000);
