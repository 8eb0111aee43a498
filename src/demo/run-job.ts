import runpodSdk from 'runpod-sdk';
import { z } from 'zod';

import { sleep } from '../flow/time.ts';

export interface SubmitOptions {
  baseUrl: string;
  input: Record<string, unknown>;
  /** Told what the job reports, as often as it is asked. */
  onProgress: (progress: unknown) => void;
}

const POLL_MS = 250;
/** The SDK's own three seconds are short for a machine whose every core decodes images. */
const REQUEST_TIMEOUT_MS = 30_000;

const SUBMITTED = z.object({ id: z.string() });
const STATUS = z.object({ status: z.string(), output: z.unknown().optional(), error: z.string().optional() });

/**
 * Submits a job to an endpoint and follows it to its end, as any client of RunPod's API does. @returns its output.
 * @throws Error with the job's own where it did not complete.
 */
export async function runJob({ baseUrl, input, onProgress }: SubmitOptions): Promise<unknown> {
  const endpoint = runpodSdk('no key is needed here', { baseUrl }).endpoint('embedding');
  if (endpoint === null) throw new TypeError('the SDK gave no endpoint');
  const { id } = SUBMITTED.parse(await endpoint.run({ input }, REQUEST_TIMEOUT_MS));
  for (;;) {
    const { status, output, error } = STATUS.parse(await endpoint.status(id, REQUEST_TIMEOUT_MS));
    if (status === 'COMPLETED') return output;
    if (status !== 'IN_QUEUE' && status !== 'IN_PROGRESS') throw new Error(error ?? `the job is ${status}`);
    if (output !== undefined) onProgress(output);
    await sleep(POLL_MS);
  }
}
