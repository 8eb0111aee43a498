import type { ChaosCloud } from './cloud.ts';
import { compareStates, type Differences } from './compare.ts';
import { startWorker, type WorkerProcess } from './process.ts';
import {
  createFaults,
  createSchedule,
  type Edge,
  type Event,
  type Faults,
  type Schedule,
} from './schedule.ts';
import { readEndState, type EndState } from './state.ts';

/** The end of an undisturbed run, and how many requests it took. */
export interface Reference {
  state: EndState;
  requests: number;
}

export interface SeedRun {
  seed: number;
  /** Processes that SIGKILL or SIGTERM ended, or told to end. */
  kills: number;
  faults: number;
  faultsByKind: Readonly<Record<string, number>>;
  /** Processes in all. */
  processes: number;
  schedule: Schedule;
  differences: Differences;
  /** What else must not be: a process that hung, a job that was not done after all starts. */
  problems: string[];
  seconds: number;
}

/** Disturbed starts and what is left to do after them, with room. */
const MOST_STARTS = 8;

/**
 * Runs the job once in peace and looks at what came of it.
 * @throws TypeError where that is not what was set up: nothing could be compared with it.
 */
export async function runReference(chaos: ChaosCloud): Promise<Reference> {
  await chaos.reset();
  let requests = 0;
  meetAll(chaos, undefined, () => (requests += 1));
  await using worker = startWorker(chaos.input);
  const ended = await worker.ended;
  const state = await readEndState(chaos.cloud);
  const points = [...state.points.values()].reduce((sum, { size }) => sum + size, 0);
  const { total, broken } = chaos.images;
  const done = isDone(state) && ended !== 'hung' && ended.code === 0;
  if (!done || points !== total - broken || state.tables.failures.size !== broken) {
    const found = `${points} points, ${state.tables.failures.size} failures of ${total} images, ${broken} broken`;
    throw new TypeError(`the undisturbed run went wrong: ${found}\n${worker.lastWords()}`);
  }
  return { state, requests };
}

/** Runs the job through a seed's faults, again and again until it is done, and compares its end with the reference. */
export async function runSeed(chaos: ChaosCloud, reference: Reference, seed: number): Promise<SeedRun> {
  const begun = performance.now();
  const schedule = createSchedule(seed, reference.requests);
  const faults = createFaults(schedule);
  const run = { kills: 0, processes: 0, problems: [] as string[] };
  await chaos.reset();
  let words = '';
  let state: EndState | undefined;
  for (let start = 0; start < MOST_STARTS && (state === undefined || !isDone(state)); start += 1) {
    // Faults of the network outlive those of the processes by one start.
    if (start > schedule.starts.length) faults.stop();
    const ended = await runOnce(chaos, faults, schedule.starts[start] ?? []);
    run.kills += ended.kills;
    run.processes += ended.processes;
    run.problems.push(...ended.problems);
    words = ended.words;
    state = await readEndState(chaos.cloud);
  }
  const end = state ?? (await readEndState(chaos.cloud));
  if (!isDone(end)) run.problems.push(`the job was not done after ${MOST_STARTS} starts; at last:\n${words}`);
  return {
    seed,
    ...run,
    faults: Object.values(faults.counts).reduce((sum, n) => sum + n, 0),
    faultsByKind: faults.counts,
    schedule,
    differences: compareStates(reference.state, end),
    seconds: Math.round((performance.now() - begun) / 100) / 10,
  };
}

/** Whether a run came out as it must. */
export function isRight({ differences, problems }: SeedRun): boolean {
  const { lost, doubled, wronglyMarked } = differences;
  return lost + doubled + wronglyMarked + problems.length === 0;
}

function isDone(state: EndState): boolean {
  return [...state.tables.jobs.values()].flat().every(({ status }) => status === 'completed');
}

interface Ended {
  kills: number;
  processes: number;
  problems: string[];
  words: string;
}

/** From one start until all of its processes have ended and what they sent has come through. */
async function runOnce(chaos: ChaosCloud, faults: Faults, events: readonly Event[]): Promise<Ended> {
  await using stack = new AsyncDisposableStack();
  const workers: WorkerProcess[] = [];
  const ended: Ended = { kills: 0, processes: 0, problems: [], words: '' };
  const begin = (): void => {
    workers.push(stack.use(startWorker(chaos.input)));
    ended.processes += 1;
  };
  const happen = ({ what, which }: Event): void => {
    if (what === 'twin') begin();
    else if (workers[which]?.kill(what) === true) ended.kills += 1;
  };
  let requests = 0;
  const due = events.toSorted((a, b) => a.at - b.at);
  meetAll(chaos, faults, () => {
    requests += 1;
    while (due[0] !== undefined && due[0].at <= requests) {
      happen(due[0]);
      due.shift();
    }
  });
  begin();
  // A twin may begin while the first is waited for.
  for (const worker of workers) {
    if ((await worker.ended) === 'hung') ended.problems.push(`a process hung:\n${worker.lastWords()}`);
  }
  ended.words = workers.at(-1)?.lastWords() ?? '';
  await Promise.all(Object.values(chaos.proxies).map((proxy) => proxy.idle()));
  return ended;
}

/** Every request of every edge meets its fault, and is counted before. */
function meetAll(chaos: ChaosCloud, faults: Faults | undefined, count: () => void): void {
  for (const [edge, proxy] of Object.entries(chaos.proxies) as [Edge, ChaosCloud['proxies'][Edge]][]) {
    proxy.meet = (request) => {
      count();
      return { fault: faults?.faultOf(edge, request), delayMs: faults?.delayOf(edge, request) ?? 0 };
    };
  }
}
