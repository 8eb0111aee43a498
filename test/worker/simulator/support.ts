import { createAddresses, postHeaders, takeHeaders, type Addresses } from '../../../src/worker/protocol.ts';
import type { Simulator } from '../../../src/worker/simulator/simulator.ts';

/** A worker that makes one call at a time, by hand. */
export interface Hand {
  readonly addresses: Addresses;
  get(url: string, signal?: AbortSignal): Promise<{ status: number; body: unknown }>;
  take(signal?: AbortSignal): Promise<{ status: number; body: unknown }>;
  post(url: string, jobId: string, body: unknown, headers?: Record<string, string>): Promise<number>;
  done(jobId: string, body: unknown): Promise<number>;
}

export function hand(simulator: Simulator, workerId = 'w1'): Hand {
  const env = simulator.env(workerId);
  const apiKey = env.RUNPOD_AI_API_KEY;
  const addresses = createAddresses(
    {
      RUNPOD_WEBHOOK_GET_JOB: env.RUNPOD_WEBHOOK_GET_JOB,
      RUNPOD_WEBHOOK_POST_OUTPUT: env.RUNPOD_WEBHOOK_POST_OUTPUT,
      RUNPOD_WEBHOOK_POST_STREAM: env.RUNPOD_WEBHOOK_POST_STREAM,
      RUNPOD_WEBHOOK_PING: env.RUNPOD_WEBHOOK_PING,
    },
    workerId,
  );
  const get: Hand['get'] = async (url, signal) => {
    const response = await fetch(url, { headers: takeHeaders(apiKey), ...(signal && { signal }) });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
  };
  const post: Hand['post'] = async (url, jobId, body, headers = postHeaders(apiKey, jobId)) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(url, { method: 'POST', headers, body: text });
    await response.text();
    return response.status;
  };
  return {
    addresses,
    get,
    post,
    take: (signal) => get(addresses.take(1, false), signal),
    done: (jobId, body) => post(addresses.done(jobId, false), jobId, body),
  };
}
