import { redactValue } from '../../base/redact.ts';
import type { Values } from '../../job/known-columns.ts';
import type { RunPodJob } from '../runpod/endpoint.ts';

/** A row is for reading: what is longer than this is left out of it, the longest first. */
const MAX_RESULT_CHARS = 100_000;
/** Failed images have rows of their own. */
const NOT_KEPT = new Set(['failed_images', 'embeddings']);

/** What is kept of a run's output: all of it but long lists, and no secrets. */
export function resultOf({ status, output }: RunPodJob): Values {
  const isObject = typeof output === 'object' && output !== null && !Array.isArray(output);
  const entries = Object.entries(isObject ? output : {}).filter(([key]) => !NOT_KEPT.has(key));
  const clean = redactValue(Object.fromEntries(entries)) as Values;
  const bySize = Object.entries(clean)
    .map(([key, value]) => ({ key, value, size: JSON.stringify(value ?? null).length }))
    .toSorted((a, b) => a.size - b.size);
  let size = 0;
  const kept = bySize.filter((entry) => (size += entry.size) <= MAX_RESULT_CHARS);
  return { runpod_status: status, ...Object.fromEntries(kept.map(({ key, value }) => [key, value])) };
}
