import { InputError } from '../base/errors.ts';
import { inputJsonSchema, unknownKeys, type JsonSchema } from '../base/json-schema.ts';
import { parseInput } from '../base/parse-input.ts';
import { crossCheck } from './input-checks.ts';
import { EMBEDDING_FIELDS, type EmbeddingInput } from './input-schema.ts';

export { productIssues } from './input-checks.ts';
export { PRODUCT_CONDITIONS } from './input-filter.ts';
export { EMBEDDING_FIELDS, FILTERS, REBUILD, SOURCE_CONFIG } from './input-schema.ts';
export { isInRange, MAX_SHARDS, SHARD, type Shard } from './shard.ts';
export type { EmbeddingInput, LegacyImage, SourceConfig } from './input-schema.ts';

/**
 * A job's input as JSON Schema (draft 2020-12): every key by itself. What holds between keys (a pair of address and
 * key, the ids that a product source needs) is checked by `parseEmbeddingInput` alone.
 */
export const EMBEDDING_INPUT_JSON_SCHEMA: JsonSchema = inputJsonSchema(EMBEDDING_FIELDS, {
  $id: 'urn:gpu-handlers:embedding-input',
  title: 'Embedding extraction: job input',
});

/**
 * The job's input, checked: null is absent at every depth, defaults are filled in, ids are in lower case, unknown keys
 * are named in `unknownKeys`. Further keys of `images` are kept, as a stateless job hands them through.
 * @throws InputError that names every faulty key and what was expected; never a secret's value.
 */
export function parseEmbeddingInput(value: unknown): EmbeddingInput {
  const fields = parseInput(EMBEDDING_FIELDS, value);
  const issues = crossCheck(fields);
  if (issues.length > 0) throw new InputError(issues);
  const unknown = unknownKeys(value, EMBEDDING_INPUT_JSON_SCHEMA);
  // What a stateless job hands through is no unknown key.
  const named =
    fields.job_id === undefined ? unknown.filter((path) => !path.startsWith('images[].')) : unknown;
  return { ...fields, unknownKeys: named };
}

/** Where images of this type go, for a job with `source_config`; a checked input always has an answer. */
export function targetCollection(input: EmbeddingInput, type: 'product' | 'cutout'): string {
  const own =
    type === 'product' ? input.source_config?.product_collection : input.source_config?.cutout_collection;
  const name = own ?? input.collection_name;
  if (name !== undefined) return name;
  throw new InputError([
    { key: 'collection_name', message: `is missing; no collection is named for a ${type}` },
  ]);
}
