import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { CALLER_KEY, startTestApi, type TestApi } from '../../support/api/test-api.ts';
import { testQdrant, type TestQdrant } from '../../support/qdrant.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

const PAGE = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');

interface Command {
  address: string;
  headers: Record<string, string>;
  body: string | undefined;
}

/** The curl commands of the page. */
const commands = [...PAGE.matchAll(/^```sh\n(curl [^`]*)```$/gm)].map(([, text = '']): Command => ({
  address: /"\$API([^"]*)"/.exec(text)?.[1] ?? '',
  headers: Object.fromEntries(
    [...text.matchAll(/-H "([\w-]+): ([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
  ),
  body: /-d '([^']*)'/.exec(text)?.[1] ?? (text.includes('--data-binary') ? 'picture' : undefined),
}));

let supabase: TestSupabase;
let qdrant: TestQdrant;
let runpod: ScriptedRunPod;
let api: TestApi;

beforeAll(async () => {
  [supabase, qdrant, runpod] = await Promise.all([testSupabase(), testQdrant(), scriptedRunPod()]);
  api = await startTestApi({
    supabase,
    qdrant,
    runpod: runpod.url,
    runStateless: () => Promise.resolve({ embeddings: [{ vector: [1, 0, 0] }], model: 'm' }),
  });
  const cutout = '3f4202e7-dac0-54ea-be08-137be70f51b7';
  const model = 'c6c7a4bc-d9d0-5678-a1d9-b4086b0c5254';
  const labelled = '5caf2288-a7d3-58a2-9c4a-9ce12dc6b856';
  await supabase.sql(
    `insert into embedding_models (id, name, model_type, embedding_dim, is_matching_active) values ($1, 'Base', 'dinov2-base', 3, true)`,
    [model],
  );
  await supabase.sql(
    `insert into datasets (id, name) values ('b5b5fb4a-2868-5ed7-9573-c33230db4be2', 'Shelf')`,
  );
  await supabase.sql(`insert into cls_datasets (id, name) values ($1, 'Drinks')`, [labelled]);
  await supabase.sql(`insert into cls_classes (dataset_id, name) values ($1, 'cola'), ($1, 'water')`, [
    labelled,
  ]);
  await supabase.sql(
    `insert into cutout_images (id, external_id, image_url) values ($1, 1, 'https://a.invalid')`,
    [cutout],
  );
  await supabase.sql(
    `insert into embedding_collections (name, collection_type, embedding_model_id, cutout_collection)
     values ('products_dinov2_base', 'matching', $1, 'cutouts_dinov2_base')`,
    [model],
  );
  for (const name of ['products_dinov2_base', 'cutouts_dinov2_base']) await qdrant.store.ensure(name, 3);
  await qdrant.store.upsert('cutouts_dinov2_base', [
    { id: cutout, vector: Float32Array.of(1, 0, 0), payload: {} },
  ]);
});
afterAll(async () => {
  await api.close();
  await Promise.all([supabase.close(), qdrant.close(), runpod[Symbol.asyncDispose]()]);
});

test('the page has commands', () => {
  expect(commands).toHaveLength(6);
});

test.each(commands.map((command, i) => [`${i}: ${command.address}`, command] as const))(
  '%s does what it says',
  async (_, command) => {
    const { address, headers, body } = command;
    const response = await fetch(`${api.url}${address}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...headers, Authorization: (headers.Authorization ?? '').replace('$KEY', CALLER_KEY) },
      ...(body !== undefined && { body }),
    });
    expect([response.status, await response.text()]).toEqual([
      address.startsWith('/v1/jobs/') ? 202 : 200,
      expect.any(String),
    ]);
  },
);

test('the page names every route, every metric and every setting of the API', async () => {
  const example = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8');
  const metrics = await (await api.fetch('/metrics')).text();
  const names = [...metrics.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) =>
    name.replace('gpu_handlers_http_request_seconds', '..._request_seconds'),
  );
  const paths = api.client.operations.map(({ path }) => path);
  const settings = [...example.matchAll(/^(API_\w+)=/gm)].map(([, name = '']) => name);
  expect([...names, ...paths, ...settings].filter((name) => !PAGE.includes(name))).toEqual([]);
});
