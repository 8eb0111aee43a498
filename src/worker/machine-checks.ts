import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';

import { HandlerError } from '../base/errors.ts';
import { freeMemoryBytes } from '../base/machine.ts';
import type { FitnessCheck } from './fitness.ts';

/** Less, and the first job would be killed by the system, not refused. */
const MIN_FREE_MEMORY_BYTES = 256 * 2 ** 20;
/** Less, and a model that is fetched does not find its place. */
const MIN_FREE_DISK_BYTES = 256 * 2 ** 20;
const MEBIBYTE = 2 ** 20;

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
      check: () => {
        const free = freeMemoryBytes(root);
        if (free === undefined || free >= minFreeMemoryBytes) return Promise.resolve();
        return Promise.reject(
          tooLittle('memory', free, minFreeMemoryBytes, 'choose a worker with more memory'),
        );
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

function tooLittle(what: string, free: number, least: number, advice: string): HandlerError {
  const mib = (bytes: number): string => `${String(Math.floor(bytes / MEBIBYTE))} MiB`;
  return new HandlerError(
    'too_little_room',
    `${mib(free)} of ${what} are free, ${mib(least)} are needed: ${advice}`,
  );
}
