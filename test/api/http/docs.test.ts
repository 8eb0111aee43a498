import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { startTestApi, type TestApi } from '../../support/api/test-api.ts';
import { testQdrant, type TestQdrant } from '../../support/qdrant.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

const PAGE = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');

/** The page's command that needs a labelled dataset, which the local cloud lacks; test/docs runs all others. */
const [, body = ''] =
  /^```sh elsewhere=.*\ncurl "\$API\/v1\/jobs\/classification" [^']*'([^']*)'$/m.exec(PAGE) ?? [];

let supabase: TestSupabase;
let qdrant: TestQdrant;
let runpod: ScriptedRunPod;
let api: TestApi;

beforeAll(async () => {
  [supabase, qdrant, runpod] = await Promise.all([testSupabase(), testQdrant(), scriptedRunPod()]);
  api = await startTestApi({ supabase, qdrant, runpod: runpod.url });
  const labelled = '5caf2288-a7d3-58a2-9c4a-9ce12dc6b856';
  await supabase.sql(`insert into cls_datasets (id, name) values ($1, 'Drinks')`, [labelled]);
  await supabase.sql(`insert into cls_classes (dataset_id, name) values ($1, 'cola'), ($1, 'water')`, [
    labelled,
  ]);
});
afterAll(async () => {
  await api.close();
  await Promise.all([supabase.close(), qdrant.close(), runpod[Symbol.asyncDispose]()]);
});

test('a classifier is submitted as the page says', async () => {
  const response = await api.fetch('/v1/jobs/classification', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  expect([response.status, await response.json()]).toEqual([
    202,
    expect.objectContaining({ kind: 'classification' }),
  ]);
});

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
