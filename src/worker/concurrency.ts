import { SettingsError } from '../base/errors.ts';
import { shapeOf } from '../base/parse-input.ts';

/** What a worker holds at a moment. */
export interface Load {
  /** Jobs that run, or whose results are being delivered. */
  running: number;
  /** Jobs that were taken and wait for a place. */
  queued: number;
  /** The concurrency that holds so far. */
  concurrency: number;
}

/** Jobs at once: a number, or what a function makes of the load. It is asked again whenever a job begins or ends. */
export type Concurrency = number | ((load: Load) => number);

/**
 * A limit that follows the load.
 * @throws SettingsError for anything but a whole number from 1 on, now or when it is asked.
 */
export function createConcurrency(concurrency: Concurrency = 1): (load: Omit<Load, 'concurrency'>) => number {
  if (typeof concurrency !== 'function') {
    const fixed = checked(concurrency);
    return () => fixed;
  }
  let current = 1;
  return (load) => {
    current = checked(concurrency({ ...load, concurrency: current }));
    return current;
  };
}

function checked(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
  const found = typeof value === 'number' ? String(value) : shapeOf(value);
  throw new SettingsError(`concurrency: expected a whole number from 1 on, found ${found}`);
}
