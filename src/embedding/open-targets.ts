import type { VectorStore } from '../qdrant/store.ts';
import type { EmbeddingInput } from './input.ts';
import { plainTargets } from './plain-targets.ts';
import { rebuiltTargets } from './rebuilt-targets.ts';
import type { JobTargets } from './targets.ts';

interface TargetsOptions {
  input: EmbeddingInput & { job_id: string };
  store: VectorStore;
}

export function openTargets({ input, store }: TargetsOptions): JobTargets {
  const names = collectionsOf(input);
  const { job_id: jobId, rebuild } = input;
  return rebuild === undefined
    ? plainTargets({ names, jobId, store })
    : rebuiltTargets({ names, jobId, rebuild, store });
}

function collectionsOf(input: EmbeddingInput): string[] {
  const source = input.source_config;
  const named =
    source === undefined
      ? (input.images ?? []).map((image) => image.collection ?? input.collection_name)
      : [
          ...(source.type === 'cutouts' ? [] : [source.product_collection ?? input.collection_name]),
          ...(source.type === 'products' ? [] : [source.cutout_collection ?? input.collection_name]),
        ];
  return [...new Set(named.filter((name) => name !== undefined))];
}
