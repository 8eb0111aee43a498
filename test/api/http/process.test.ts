import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';

import { DEMO_DIM } from '../../../src/model/small/demo-descriptor.ts';
import { scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { addRun, rowOf } from '../../support/api/runs.ts';
import { CALLER_KEY } from '../../support/api/test-api.ts';
import { drawPicture } from '../../support/pictures.ts';
import { testQdrant, type TestQdrant } from '../../support/qdrant.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
/** Loaded before everything else: tells on SIGUSR2 which native addons the process has loaded. */
const TELL_ADDONS = `data:text/javascript,process.on('SIGUSR2',()=>console.log(JSON.stringify(process.report.getReport().sharedObjects.filter((f)=>f.endsWith('.node')))))`;

let supabase: TestSupabase;
let qdrant: TestQdrant;
let runpod: ScriptedRunPod;
let child: ChildProcess | undefined;

beforeAll(async () => {
  [supabase, qdrant, runpod] = await Promise.all([testSupabase(), testQdrant(), scriptedRunPod()]);
});
afterEach(() => {
  child?.kill('SIGKILL');
});
afterAll(async () => {
  await Promise.all([supabase.close(), qdrant.close(), runpod[Symbol.asyncDispose]()]);
});

interface Started {
  url: string;
  lines: AsyncIterator<string>;
  exited: Promise<unknown[]>;
  errors: () => string;
}

function start(settings: Record<string, string>): {
  process: ChildProcess;
  exited: Promise<unknown[]>;
  errors: () => string;
} {
  const started = spawn(process.execPath, ['--import', TELL_ADDONS, MAIN, 'api', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...settings },
  });
  child = started;
  let text = '';
  started.stderr.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { process: started, exited: once(started, 'close'), errors: () => text };
}

async function startWhole(settings: Record<string, string> = {}): Promise<Started> {
  const {
    process: started,
    exited,
    errors,
  } = start({
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceKey,
    QDRANT_URL: qdrant.url,
    QDRANT_API_KEY: qdrant.apiKey,
    RUNPOD_API_KEY: 'rpa_EXAMPLEKEY0123456789',
    RUNPOD_ENDPOINT_EMBEDDING: 'scripted',
    RUNPOD_JOBS_URL: runpod.url,
    API_PORT: '0',
    API_KEYS: CALLER_KEY,
    ...settings,
  });
  const lines = createInterface({ input: started.stdout ?? process.stdin })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done === true) throw new Error(errors());
  const { url } = JSON.parse(first.value) as { url: string };
  return { url, lines, exited, errors };
}

async function addonsOf({ lines }: Started): Promise<string[]> {
  child?.kill('SIGUSR2');
  return JSON.parse(String((await lines.next()).value)) as string[];
}

test('what is missing is named, and the exit code is 1', async () => {
  const { exited, errors } = start({ SUPABASE_URL: supabase.url });
  expect(await exited).toEqual([1, null]);
  expect(errors()).toContain('the API needs SUPABASE_SERVICE_ROLE_KEY, QDRANT_URL, API_KEYS');
});

test('half a webhook, and keys that can be guessed, are refused', async () => {
  const { exited, errors } = start({ API_KEYS: 'short', API_WEBHOOK_SECRET: 'short' });
  expect(await exited).toEqual([1, null]);
  expect(errors()).toMatch(/API_KEYS: expected keys of at least 16/);
  expect(errors()).toMatch(/API_WEBHOOK_SECRET: expected at least 16/);
});

test('a request under way at SIGTERM is answered, and the process ends with 0', async () => {
  const { url, exited } = await startWhole();
  const { promise: asked, resolve: isAsked } = Promise.withResolvers<undefined>();
  const { promise: goOn, resolve: go } = Promise.withResolvers<undefined>();
  runpod.answer = async ({ path }) => {
    if (!path.startsWith('health')) return undefined;
    isAsked(undefined);
    await goOn;
    return undefined;
  };
  const answer = fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${CALLER_KEY}` } });
  await asked;
  child?.kill('SIGTERM');
  // It listens no more.
  for (;;)
    if (
      await fetch(`${url}/healthz`).then(
        () => false,
        () => true,
      )
    )
      break;
  go(undefined);
  expect((await answer).status).toBe(200);
  expect(await exited).toEqual([0, null]);
  runpod.answer = () => undefined;
});

test('runs are looked after on a timer', async () => {
  const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
  runpod.jobs.set('j', { id: 'j', status: 'FAILED', error: 'worker exited' });
  await startWhole({ API_RECONCILE_INTERVAL_MS: '50' });
  while ((await rowOf(supabase, id)).status === 'running') await new Promise((done) => setTimeout(done, 20));
  expect(await rowOf(supabase, id)).toMatchObject({ status: 'failed', error_message: 'worker exited' });
});

test('ONNX Runtime and sharp are loaded where images of searches are embedded here, and nowhere else', async () => {
  const lean = await startWhole();
  expect((await addonsOf(lean)).filter((file) => /onnxruntime|sharp/.test(file))).toEqual([]);
  child?.kill('SIGKILL');
  await lean.exited;

  const full = await startWhole({ API_EMBED_HERE: '1', HF_HUB_OFFLINE: '1', LOG_LEVEL: 'error' });
  await qdrant.store.ensure('pictures', DEMO_DIM);
  const [model] = await supabase.sql(
    `insert into embedding_models (id, name, model_type, embedding_dim)
     values (gen_random_uuid(), 'Demo', 'demo', ${DEMO_DIM}) returning id`,
  );
  const picture = await drawPicture('/frames/a/frame_0000.png');
  const search = async (image: Uint8Array): Promise<Response> =>
    fetch(`${full.url}/v1/search/image?collection=pictures&model_id=${String(model?.id)}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${CALLER_KEY}`, 'content-type': 'image/png' },
      body: new Uint8Array(image),
    });
  const answer = await search(picture);
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    { collection: 'pictures', model: expect.stringContaining('demo') },
  ]);
  const odd = await search(Buffer.from('<html>'));
  expect([odd.status, await odd.json()]).toMatchObject([
    422,
    { code: 'image_not_embedded', detail: expect.stringContaining('not_an_image') },
  ]);
  expect((await addonsOf(full)).filter((file) => file.includes('onnxruntime'))).not.toEqual([]);
});
