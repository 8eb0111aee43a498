import { randomUUID } from 'node:crypto';

import type { Sample } from '../../src/classification/sample.ts';
import { storageOf } from '../../src/job/stored-file.ts';

/** A signal that never aborts. */
export const NEVER = new AbortController().signal;

export const sample = (part: Partial<Sample> & { url: string }): Sample => ({
  id: randomUUID(),
  storage: storageOf(part.url),
  label: 0,
  assigned: null,
  ...part,
});
