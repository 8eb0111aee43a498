import { readFile, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { HandlerError } from '../base/errors.ts';
import type { FitnessCheck } from './fitness.ts';

/** Less, and the first job would be killed by the system, not refused. */
const MIN_FREE_MEMORY_BYTES = 256 * 2 ** 20;
/** Less, and a model that is fetched does not find its place. */
const MIN_FREE_DISK_BYTES = 256 * 2 ** 20;
const MEBIBYTE = 2 ** 20;
/** The kernel's word for no limit in the older hierarchy is a number close to 2^63. */
const NO_LIMIT_BYTES = 2 ** 60;

export interface MachineLimits {
  minFreeMemoryBytes?: number;
  minFreeDiskBytes?: number;
  /** Where the disk must have room; the folder for temporary files by default. */
  folder?: string;
  /** The root of the file system in which the system's own numbers are read. */
  root?: string;
}

/** Free memory and free disk, as the container has them and not as the machine under it does. */
export function machineChecks(limits: MachineLimits = {}): FitnessCheck[] {
  const { minFreeMemoryBytes = MIN_FREE_MEMORY_BYTES, minFreeDiskBytes = MIN_FREE_DISK_BYTES } = limits;
  const { folder = tmpdir(), root = '/' } = limits;
  return [
    {
      name: 'memory',
      check: async () => {
        const free = await freeMemoryBytes(root);
        if (free === undefined || free >= minFreeMemoryBytes) return;
        throw tooLittle('memory', free, minFreeMemoryBytes, 'choose a worker with more memory');
      },
    },
    {
      name: 'disk',
      check: async () => {
        const { bavail, bsize } = await statfs(folder);
        const free = bavail * bsize;
        if (free >= minFreeDiskBytes) return;
        throw tooLittle(`disk at ${folder}`, free, minFreeDiskBytes, 'give the container a larger disk');
      },
    },
  ];
}

/**
 * The memory that can still be had: the lesser of the machine's and the control group's, pages of files that the kernel
 * would give back counted as free. Undefined where the system does not say.
 */
export async function freeMemoryBytes(root = '/'): Promise<number | undefined> {
  const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8').catch(() => '');
  const [machine, group] = await Promise.all([
    read('proc/meminfo').then((text) => {
      const kib = /^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1];
      return kib === undefined ? undefined : Number(kib) * 1024;
    }),
    freeInGroup(read),
  ]);
  const known = [machine, group].filter((bytes) => bytes !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

const GROUP_FILES = [
  { folder: 'sys/fs/cgroup', limit: 'memory.max', used: 'memory.current', cache: 'inactive_file' },
  {
    folder: 'sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    used: 'memory.usage_in_bytes',
    cache: 'total_inactive_file',
  },
];

async function freeInGroup(read: (path: string) => Promise<string>): Promise<number | undefined> {
  const found = await Promise.all(
    GROUP_FILES.map(async ({ folder, limit, used, cache }) => {
      const [max = '', current = '', stat = ''] = await Promise.all(
        [limit, used, 'memory.stat'].map((name) => read(`${folder}/${name}`)),
      );
      const limitBytes = wholeNumber(max);
      const usedBytes = wholeNumber(current);
      if (limitBytes === undefined || usedBytes === undefined || limitBytes >= NO_LIMIT_BYTES) return [];
      const cached = new RegExp(`^${cache} (\\d+)$`, 'm').exec(stat)?.[1];
      return [limitBytes - usedBytes + Number(cached ?? 0)];
    }),
  );
  const [free] = found.flat();
  return free;
}

function wholeNumber(text: string): number | undefined {
  return /^\d+$/.test(text.trim()) ? Number(text) : undefined;
}

function tooLittle(what: string, free: number, least: number, advice: string): HandlerError {
  const mib = (bytes: number): string => `${String(Math.floor(bytes / MEBIBYTE))} MiB`;
  return new HandlerError(
    'too_little_room',
    `${mib(free)} of ${what} are free, ${mib(least)} are needed: ${advice}`,
  );
}
