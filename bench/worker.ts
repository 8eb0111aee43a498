/** `npm run bench:worker`: what the worker costs, against the simulator in a process of its own. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { serve } from '../src/worker/serve.ts';

const SIMULATOR = fileURLToPath(new URL('../src/worker/simulator/main.ts', import.meta.url));
const SELF = fileURLToPath(import.meta.url);
const WARM_UP_JOBS = 2_000;
const DISPATCHES = 300;
const FAILING_MS = 10_000;
const GROWTH_JOBS = 20_000;
const SAMPLE_JOBS = 5_000;
const MEBIBYTE = 2 ** 20;

interface Stand {
  url: string;
  env: Record<string, string>;
  process: ChildProcess;
}

/** Answers with how long the job was under way, where its input says when it was submitted. */
async function runChild(concurrency: number): Promise<void> {
  process.on('message', () => {
    globalThis.gc?.();
    globalThis.gc?.();
    process.send?.(process.memoryUsage());
  });
  process.channel?.unref();
  await serve<{ at?: number }, number>(
    ({ input }) => {
      const late = input.at === undefined ? 0 : performance.timeOrigin + performance.now() - input.at;
      if (input.at !== undefined) process.send?.({ late });
      return late;
    },
    { concurrency },
    { argv: [] },
  );
}

async function startStand(args: readonly string[]): Promise<Stand> {
  const child = spawn(process.execPath, [SIMULATOR, '--json', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { url, env } = JSON.parse(line.toString()) as Omit<Stand, 'process'>;
  return { url, env, process: child };
}

function startWorker({ env }: Stand, concurrency: number): ChildProcess {
  return fork(SELF, ['--child', String(concurrency)], {
    execArgv: ['--expose-gc'],
    env: { PATH: process.env.PATH, LOG_LEVEL: 'error', ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

async function stop(child: ChildProcess): Promise<number> {
  const begun = performance.now();
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  return performance.now() - begun;
}

async function ask<T>({ url }: Stand, path: string, body?: unknown): Promise<T> {
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(`${url}/simulator/${path}`, init);
  return (await response.json()) as T;
}

const finals = async (stand: Stand): Promise<number> =>
  (await ask<{ finals: number }>(stand, 'counts')).finals;

/** Jobs a second from the moment when all are in the queue. */
async function runJobs(stand: Stand, count: number): Promise<number> {
  const goal = (await finals(stand)) + count;
  const begun = performance.now();
  await ask(
    stand,
    'jobs',
    Array.from({ length: count }, () => ({ input: {} })),
  );
  while ((await finals(stand)) < goal) await sleep(25);
  return (count * 1_000) / (performance.now() - begun);
}

async function measureDispatch(stand: Stand, worker: ChildProcess): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < DISPATCHES; i++) {
    const answered = once(worker, 'message');
    await ask(stand, 'jobs', { input: { at: performance.timeOrigin + performance.now() } });
    const [message] = (await answered) as [{ late: number }];
    times.push(message.late);
    // The next one finds the worker waiting, as a job of its own does.
    await sleep(5);
  }
  return times.toSorted((a, b) => a - b);
}

async function memoryOf(worker: ChildProcess): Promise<NodeJS.MemoryUsage> {
  const answered = once(worker, 'message');
  worker.send({});
  const [message] = (await answered) as [NodeJS.MemoryUsage];
  return message;
}

/** How much the process has grown, collected, and on standard error what of it is kept: objects, or room for them. */
async function measureGrowth(stand: Stand, worker: ChildProcess): Promise<number> {
  const first = await memoryOf(worker);
  let last = first;
  showMemory(0, first);
  for (let jobs = SAMPLE_JOBS; jobs <= GROWTH_JOBS; jobs += SAMPLE_JOBS) {
    await runJobs(stand, SAMPLE_JOBS);
    last = await memoryOf(worker);
    showMemory(jobs, last);
  }
  return (last.rss - first.rss) / MEBIBYTE;
}

function showMemory(jobs: number, { rss, heapTotal, heapUsed, external }: NodeJS.MemoryUsage): void {
  const mebibytes = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
  process.stderr.write(
    `after ${jobs} jobs: rss ${mebibytes(rss)}, heap ${mebibytes(heapTotal)}, ` +
      `used with external ${mebibytes(heapUsed + external)}\n`,
  );
}

async function measureFailing(): Promise<number> {
  const stand = await startStand([]);
  await ask(stand, 'script', { route: 'take', outcome: { status: 500 } });
  const worker = startWorker(stand, 1);
  const takes = async (): Promise<number> =>
    (await ask<{ route: string }[]>(stand, 'requests')).filter(({ route }) => route === 'take').length;
  while ((await takes()) === 0) await sleep(25);
  await sleep(FAILING_MS);
  const rate = ((await takes()) * 1_000) / FAILING_MS;
  await stop(worker);
  await stop(stand.process);
  return rate;
}

async function bench(): Promise<void> {
  const stand = await startStand(['--no-record']);
  const single = startWorker(stand, 1);
  await runJobs(stand, WARM_UP_JOBS);
  const c1 = await runJobs(stand, 3_000);
  const dispatch = await measureDispatch(stand, single);
  const shutdownMs = await stop(single);

  const many = startWorker(stand, 16);
  await runJobs(stand, WARM_UP_JOBS);
  const c16 = await runJobs(stand, 10_000);
  // The engine has given its young generation its full size by now, which it does in steps over some 8,000 jobs.
  const growth = await measureGrowth(stand, many);
  await stop(many);
  await stop(stand.process);

  const at = (share: number): number => dispatch[Math.floor(share * (dispatch.length - 1))] ?? NaN;
  const rounded = (value: number): number => Math.round(value * 100) / 100;
  const figures = {
    noop_jobs_per_second_c1: rounded(c1),
    noop_jobs_per_second_c16: rounded(c16),
    dispatch_p50_ms: rounded(at(0.5)),
    dispatch_p99_ms: rounded(at(0.99)),
    takes_per_second_when_failing: rounded(await measureFailing()),
    shutdown_ms: rounded(shutdownMs),
    rss_growth_mb_20000_jobs: rounded(growth),
  };
  if (!process.argv.includes('--json')) {
    for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(32)}${value}\n`);
  } else {
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  }
}

const [, , mode, concurrency] = process.argv;
if (mode === '--child') await runChild(Number(concurrency));
else await bench();
