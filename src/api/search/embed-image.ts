import { z } from 'zod';

import { HandlerError } from '../../base/errors.ts';
import type { Endpoint } from '../runpod/endpoint.ts';

/** The model that a collection was filled with. */
interface SearchModel {
  model_type: string;
  checkpoint_url: string | null;
  embedding_dim: number;
}

export interface EmbeddedQuery {
  vector: Float32Array;
  /** The fingerprint that points carry as `model`. */
  model: string;
}

/** @throws HandlerError `image_not_embedded` where the picture is none, or whoever embeds it fails. */
export type EmbedImage = (
  image: Uint8Array,
  model: SearchModel,
  signal: AbortSignal,
) => Promise<EmbeddedQuery>;

/** Runs a stateless embedding job, here or elsewhere, and gives its output. */
export type RunStateless = (input: Record<string, unknown>, signal: AbortSignal) => Promise<unknown>;

const OUTPUT = z.object({
  embeddings: z.array(z.object({ vector: z.array(z.number()) })).default([]),
  model: z.string().optional(),
  error: z.string().optional(),
  failed_images: z.array(z.object({ code: z.string(), message: z.string() })).default([]),
});

/** An image as the one of a stateless job: what embeds it is what embedded the collection. */
export function embedBy(run: RunStateless): EmbedImage {
  return async (image, { model_type, checkpoint_url, embedding_dim }, signal) => {
    const url = `data:application/octet-stream;base64,${Buffer.from(image).toString('base64')}`;
    const input = {
      images: [{ id: 'query', url, type: 'cutout' }],
      model_type,
      embedding_dim,
      ...(checkpoint_url !== null && { checkpoint_url }),
    };
    const output = OUTPUT.parse(await run(input, signal));
    const vector = output.embeddings[0]?.vector;
    if (vector !== undefined && output.model !== undefined)
      return { vector: Float32Array.from(vector), model: output.model };
    const [failed] = output.failed_images;
    const reason = failed === undefined ? output.error : `${failed.code}: ${failed.message}`;
    throw new HandlerError(
      'image_not_embedded',
      `the image was not embedded: ${reason ?? 'no reason was given'}`,
    );
  };
}

/** What one asks the endpoint for, and how long it is waited for. */
const WAIT_MS = 60_000;

/** By the endpoint that embeds everything else: a worker may have to start first. */
export function runAtEndpoint(endpoint: Endpoint): RunStateless {
  return async (input, signal) => {
    const policy = { executionTimeout: WAIT_MS, ttl: WAIT_MS };
    const id = await endpoint.submit({ input, policy }, signal);
    const job = await endpoint.settled(id, WAIT_MS, signal);
    if (job?.status === 'COMPLETED') return job.output;
    const error = typeof job?.error === 'string' ? job.error : `its job is ${job?.status ?? 'not known'}`;
    return { error };
  };
}
