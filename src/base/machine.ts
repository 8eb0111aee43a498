import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** What there is to share out, as the container has it and not as the machine under it does. */
export interface Machine {
  /** Cores that this process may use; a control group's quota counts. */
  cores: number;
  /** Undefined where the system does not say. */
  freeMemoryBytes: number | undefined;
}

export function readMachine(): Machine {
  return { cores: availableParallelism(), freeMemoryBytes: freeMemoryBytes() };
}

/** The kernel's word for no limit in the older hierarchy is a number close to 2^63. */
const NO_LIMIT_BYTES = 2 ** 60;

/**
 * The memory that can still be had: the lesser of the machine's and the control group's, pages of files that the kernel
 * would give back counted as free. Undefined where the system does not say.
 * @param root the root of the file system in which the system's own numbers are read.
 */
export function freeMemoryBytes(root = '/'): number | undefined {
  const read = (path: string): string => {
    try {
      return readFileSync(join(root, path), 'utf8');
    } catch {
      return '';
    }
  };
  const kib = /^MemAvailable:\s+(\d+) kB/m.exec(read('proc/meminfo'))?.[1];
  const machine = kib === undefined ? undefined : Number(kib) * 1024;
  const known = [machine, freeInGroup(read)].filter((bytes) => bytes !== undefined);
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

function freeInGroup(read: (path: string) => string): number | undefined {
  const found = GROUP_FILES.flatMap(({ folder, limit, used, cache }) => {
    const limitBytes = wholeNumber(read(`${folder}/${limit}`));
    const usedBytes = wholeNumber(read(`${folder}/${used}`));
    if (limitBytes === undefined || usedBytes === undefined || limitBytes >= NO_LIMIT_BYTES) return [];
    const cached = new RegExp(`^${cache} (\\d+)$`, 'm').exec(read(`${folder}/memory.stat`))?.[1];
    return [limitBytes - usedBytes + Number(cached ?? 0)];
  });
  return found[0];
}

function wholeNumber(text: string): number | undefined {
  return /^\d+$/.test(text.trim()) ? Number(text) : undefined;
}
