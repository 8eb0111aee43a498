import { z } from 'zod';

const count = z.number().nonnegative().catch(0);
const STAGE = z
  .object({ working_seconds: count, waiting_seconds: count, held_back_seconds: count })
  .catch({ working_seconds: 0, waiting_seconds: 0, held_back_seconds: 0 });

/** What metrics read of an extraction's output; whatever is missing counts as nothing. */
const OUTPUT = z
  .object({
    processed_count: count,
    unchanged_count: count,
    failed_by_code: z.record(z.string(), count).catch({}),
    performance: z.object({ stages: z.record(z.string(), STAGE).catch({}) }).catch({ stages: {} }),
  })
  .catch({ processed_count: 0, unchanged_count: 0, failed_by_code: {}, performance: { stages: {} } });
export type CountedOutput = z.infer<typeof OUTPUT>;

export function countedOutput(output: unknown): CountedOutput {
  return OUTPUT.parse(output);
}
