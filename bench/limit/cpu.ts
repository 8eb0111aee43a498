import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** The kernel's unit of time, as /proc has it on every Linux. */
const TICKS_PER_SECOND = 100;
/** user, nice, system, idle, iowait, irq, softirq, steal: not idle and not iowait. */
const IDLE_COLUMNS = [3, 4];
const COLUMNS = 8;
/** Of /proc/{pid}/stat behind the name's bracket: user and system time. */
const TIME_COLUMNS = [11, 12];

export interface CpuUse {
  /** Of this process, all its threads. */
  seconds: number;
  /** What share of the cores other programs left; 1 where the system does not say. */
  freeShare: number;
}

/** Measures the processor while the work runs; `helper` is a process that belongs to it. */
export async function withCpu<T>(
  helper: number,
  work: () => Promise<T>,
): Promise<{ result: T; cpu: CpuUse }> {
  const before = now(helper);
  const result = await work();
  const after = now(helper);
  const seconds = after.own - before.own;
  const others = after.busy - before.busy - seconds - (after.helper - before.helper);
  const all = (after.wall - before.wall) * availableParallelism();
  const freeShare = Number.isNaN(others) ? 1 : Math.min(1, Math.max(0, 1 - others / all));
  return { result, cpu: { seconds, freeShare } };
}

/** All in seconds since some moment. */
interface Moment {
  wall: number;
  busy: number;
  own: number;
  helper: number;
}

function now(helper: number): Moment {
  const { user, system } = process.cpuUsage();
  return {
    wall: performance.now() / 1_000,
    busy: busySeconds(),
    own: (user + system) / 1e6,
    helper: secondsOf(helper),
  };
}

function busySeconds(): number {
  const line = read('/proc/stat').split('\n')[0] ?? '';
  const columns = line
    .trim()
    .split(/\s+/)
    .slice(1, 1 + COLUMNS)
    .map(Number);
  return columns.length < COLUMNS ? NaN : sum(columns.filter((_, i) => !IDLE_COLUMNS.includes(i)));
}

function secondsOf(pid: number): number {
  const columns = read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ') ?? [];
  return sum(TIME_COLUMNS.map((column) => Number(columns[column])));
}

function sum(ticks: readonly number[]): number {
  return ticks.reduce((a, b) => a + b, 0) / TICKS_PER_SECOND;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
