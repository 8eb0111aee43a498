/** Writes the job inputs' JSON Schemas to schemas/: `node scripts/write-schemas.ts`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

import { CLASSIFICATION_INPUT_JSON_SCHEMA } from '../src/classification/input.ts';
import { EMBEDDING_INPUT_JSON_SCHEMA } from '../src/embedding/input.ts';

const FOLDER = fileURLToPath(new URL('../schemas/', import.meta.url));

const SCHEMAS = {
  'classification-input.json': CLASSIFICATION_INPUT_JSON_SCHEMA,
  'embedding-input.json': EMBEDDING_INPUT_JSON_SCHEMA,
};

await mkdir(FOLDER, { recursive: true });
for (const [name, schema] of Object.entries(SCHEMAS)) {
  const path = FOLDER + name;
  const config = await resolveConfig(path);
  await writeFile(path, await format(JSON.stringify(schema), { ...config, filepath: path }));
  process.stdout.write(`${path}\n`);
}
