import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { buildTinyClip } from '../../src/model/small/tiny-models.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import { moveWeightsOut } from '../../src/onnx/external.ts';
import {
  addProducts,
  collectionsIn,
  jobRow,
  pointsOf,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type JobRun,
  type Row,
} from '../support/job.ts';

/** Fits the demo model's input. */
const SIDE_PX = 96;
const DIM = 12;

let cloud: JobCloud;

beforeAll(async () => {
  cloud = await startJobCloud();
  await addProducts(cloud, range(0, 3));
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const checkpoint = (seed: number): Uint8Array => writeModel(buildTinyClip({ size: SIDE_PX, dim: DIM, seed }));

const serve = (path: string, body: Uint8Array | string): string => {
  cloud.images.misbehave(path, { body, type: 'application/octet-stream' });
  return `${cloud.images.url}${path}`;
};

const job = (collection: string, input: Row): Promise<JobRun> =>
  runJob(cloud, { source_config: { type: 'products', product_collection: collection }, ...input });

test('a fine-tuned model gives its own vectors under its own fingerprint, whatever its address', async () => {
  const [plain, first, moved, other] = await Promise.all([
    job('plain', {}),
    job('first', { checkpoint_url: serve('/models/best.onnx', checkpoint(1)), embedding_dim: DIM }),
    job('moved', { checkpoint_url: `${serve('/elsewhere/final.onnx', checkpoint(1))}?version=2` }),
    job('other', { checkpoint_url: serve('/models/other.onnx', checkpoint(2)) }),
  ]);
  for (const { output } of [plain, first, moved, other]) {
    expect(output).toMatchObject({ status: 'success', processed_count: 3, failed_count: 0 });
  }
  expect(first.output.embedding_dim).toBe(DIM);
  expect(plain.output.embedding_dim).not.toBe(DIM);
  const models = [plain, first, other].map(({ output }) => output.model);
  expect(new Set(models).size).toBe(3);
  expect(moved.output.model).toBe(first.output.model);
  const points = [...(await pointsOf(cloud, 'first')).values()];
  expect(points.map(({ payload }) => payload.model)).toEqual(points.map(() => first.output.model));
  expect(points.every(({ vector }) => vector.length === DIM)).toBe(true);
});

test('a collection of one checkpoint takes no vectors of another', async () => {
  const url = serve('/models/mine.onnx', checkpoint(3));
  await job('mine', { checkpoint_url: url });
  const theirs = await job('mine', { checkpoint_url: serve('/models/theirs.onnx', checkpoint(4)) });
  expect(theirs.output).toMatchObject({ status: 'error', error_code: 'mixed_models' });
  const again = await job('mine', { checkpoint_url: url });
  expect(again.output).toMatchObject({ status: 'success', warnings: [] });
});

test('a checkpoint in storage is read by its bucket and path', async () => {
  await cloud.supabase.database.ensureBucket({ bucket: 'checkpoints' });
  await cloud.supabase.database.upload({
    bucket: 'checkpoints',
    path: 'runs/7/best.onnx',
    body: checkpoint(1),
    contentType: 'application/octet-stream',
  });
  const { output } = await job('from_storage', { checkpoint_url: 'checkpoints/runs/7/best.onnx' });
  expect(output).toMatchObject({ status: 'success', embedding_dim: DIM });
  const gone = await job('from_storage', { checkpoint_url: 'checkpoints/runs/8/best.onnx' });
  expect(gone.output).toMatchObject({ status: 'error', error_code: 'storage_not_found' });
});

test('weights in a file beside the checkpoint come along, over HTTP and from storage', async () => {
  const plain = await job('inside', { checkpoint_url: serve('/models/inside.onnx', checkpoint(1)) });
  const { model, data } = moveWeightsOut(buildTinyClip({ size: SIDE_PX, dim: DIM, seed: 1 }), 'w eights.bin');
  serve('/models/deep/w eights.bin', data);
  const url = `${serve('/models/deep/graph.onnx', writeModel(model))}?download=true`;
  await cloud.supabase.database.ensureBucket({ bucket: 'checkpoints' });
  const stored = [
    ['runs/8/graph.onnx', writeModel(model)],
    ['runs/8/w eights.bin', data],
  ] as const;
  for (const [path, body] of stored) {
    const contentType = 'application/octet-stream';
    await cloud.supabase.database.upload({ bucket: 'checkpoints', path, body, contentType });
  }
  const [byHttp, fromStorage] = [
    await job('beside', { checkpoint_url: url }),
    await job('beside', { checkpoint_url: 'checkpoints/runs/8/graph.onnx' }),
  ];
  expect(byHttp.output).toMatchObject({ status: 'success', processed_count: 3, embedding_dim: DIM });
  expect(fromStorage.output).toMatchObject({ status: 'success', model: byHttp.output.model });
  const vectorsOf = async (collection: string): Promise<Map<string, number[]>> =>
    new Map([...(await pointsOf(cloud, collection))].map(([id, { vector }]) => [id, vector]));
  expect(await vectorsOf('beside')).toEqual(await vectorsOf('inside'));
  expect(plain.output).toMatchObject({ status: 'success' });
});

test.each([
  ['../secret.bin', 'model_unreadable'],
  ['http://127.0.0.1:1/secret.bin', 'http_404'],
])('weights at %s are not looked for elsewhere', async (location, code) => {
  serve('/secret.bin', 'secret');
  const { model } = moveWeightsOut(buildTinyClip({ size: SIDE_PX, dim: DIM, seed: 1 }), location);
  const asked = cloud.images.requests.get('/secret.bin');
  const { output } = await job('elsewhere', {
    checkpoint_url: serve(`/models/out-${code}.onnx`, writeModel(model)),
  });
  expect(output).toMatchObject({ status: 'error', error_code: code });
  expect(cloud.images.requests.get('/secret.bin')).toBe(asked);
});

describe('a checkpoint that', () => {
  const CASES: readonly (readonly [what: string, url: () => string, code: string])[] = [
    ['is not there', () => `${cloud.images.url}/models/gone.onnx`, 'http_404'],
    [
      'is a torch file under another name',
      () => serve('/models/torch.onnx', Buffer.from('PK\x03\x04 archive/data.pkl', 'latin1')),
      'torch_checkpoint',
    ],
    [
      'is a web page',
      () => serve('/models/page.onnx', '<!doctype html><title>Sign in</title>'),
      'model_unreadable',
    ],
    ['is cut short', () => serve('/models/half.onnx', checkpoint(1).subarray(0, 900)), 'model_unreadable'],
    [
      'is for pictures of another size',
      () => serve('/models/small.onnx', writeModel(buildTinyClip({ size: 32, dim: DIM }))),
      'model_mismatch',
    ],
  ];
  const collectionOf = (what: string): string => `refused_${what.replaceAll(' ', '_')}`;
  const pictures = (): number =>
    [...cloud.images.requests].reduce((n, [path, count]) => (path.startsWith('/frames/') ? n + count : n), 0);
  const runs = new Map<string, JobRun>();
  let before: number;

  beforeAll(async () => {
    before = pictures();
    await Promise.all(
      CASES.map(async ([what, url]) => {
        runs.set(what, await job(collectionOf(what), { checkpoint_url: url() }));
      }),
    );
  });

  test.each(CASES)('%s ends the job before the first image', async (what, _, code) => {
    const run = runs.get(what);
    expect(run?.output).toMatchObject({ status: 'error', error_code: code, processed_count: 0 });
    expect(await jobRow(cloud, run?.jobId ?? '')).toMatchObject({
      status: 'failed',
      error_message: run?.output.error,
    });
    expect(await collectionsIn(cloud)).not.toContain(collectionOf(what));
    expect(pictures()).toBe(before);
  });
});
