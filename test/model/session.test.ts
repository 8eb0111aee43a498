import { expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { createSession, type SessionOptions } from '../../src/model/session.ts';
import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import { toEmbeddingModel } from '../../src/onnx/rewrite.ts';
import { SIDE, SMALL, failingOnLight, randomPixels, sized } from './support.ts';

function options(): SessionOptions {
  const { model, inputName, outputName } = toEmbeddingModel(buildTinyVit(), {
    input: 'pixel_values',
    outputs: [{ name: 'pooler_output', pooling: 'as_is' }],
    width: SIDE,
    height: SIDE,
    ...SMALL,
  });
  return {
    model: writeModel(model),
    inputName,
    outputName,
    width: SIDE,
    height: SIDE,
    fixedBatch: null,
    ...sized(2),
    providers: ['cpu'],
    requireGpu: false,
    log: SILENT_LOG,
  };
}

test('the caller’s thread goes on while one run is under way', async () => {
  // Some hundred milliseconds of work on one thread.
  const count = 8_000;
  const session = await createSession({ ...options(), ...sized(count) });
  const pictures = new Uint8Array(count * SIDE * SIDE * 3).fill(128);
  try {
    // A single run: in this thread it would let no timer through before its result.
    const order: string[] = [];
    const run = session.embed(pictures, count).then(() => order.push('run'));
    const timer = new Promise<void>((resolve) => setTimeout(resolve, 1)).then(() => order.push('timer'));
    await Promise.all([run, timer]);
    expect(order).toEqual(['timer', 'run']);
  } finally {
    await session.close();
  }
});

test('a thread that cannot even start is an error, not a wait', async () => {
  const wrong = { ...options(), model: '/nowhere/model.onnx' };
  await expect(createSession(wrong)).rejects.toMatchObject({ code: 'model_load_failed' });
});

test('an output of another shape is refused before any image', async () => {
  const g = graphBuilder({ name: 'tokens' });
  const x = g.input('pixels', 'uint8', ['batch', SIDE, SIDE, 3]);
  g.output(g.node('Cast', [x], { attributes: { to: 1 } }), 'float32', ['batch', SIDE, SIDE, 3], 'vectors');
  const wrong = { ...options(), model: writeModel(g.toModel()), inputName: 'pixels', outputName: 'vectors' };
  await expect(createSession({ ...wrong, model: wrong.model.slice() })).rejects.toMatchObject({
    code: 'model_mismatch',
  });
  await expect(createSession(wrong)).rejects.toThrow(/gave float32 \[2, 32, 32, 3\] for a batch of 2/);
});

test('a model that gives no numbers is refused before any image', async () => {
  const g = graphBuilder({ name: 'nan' });
  const x = g.input('pixels', 'uint8', ['batch', SIDE, SIDE, 3]);
  const cast = g.node('Cast', [x], { attributes: { to: 1 } });
  const mean = g.node('ReduceMean', [cast], { attributes: { axes: [1, 2], keepdims: 0 } });
  g.output(g.node('Div', [mean, mean]), 'float32', ['batch', 3], 'vectors');
  const wrong = { ...options(), model: writeModel(g.toModel()), inputName: 'pixels', outputName: 'vectors' };
  await expect(createSession(wrong)).rejects.toThrow(/NaN or infinity for a black picture/);
});

test('a thread that dies takes no call with it: each is refused, and so is the next', async () => {
  const dying = `
    import { parentPort } from 'node:worker_threads';
    parentPort.postMessage({ type: 'ready', dim: 4, provider: 'cpu', batchSize: 2, failures: [] });
    parentPort.once('message', () => { throw new Error('the end'); });
  `;
  const thread = new URL(`data:text/javascript,${encodeURIComponent(dying)}`);
  const session = await createSession({ ...options(), thread });
  const asked = await Promise.allSettled([1, 2, 3].map((count) => session.embed(randomPixels(count), count)));
  const refused = { status: 'rejected', reason: { code: 'model_thread_stopped' } };
  for (const outcome of asked) expect(outcome).toMatchObject(refused);
  await expect(session.embed(randomPixels(1), 1)).rejects.toThrow(/the end/);
  expect(session.stopped).toBe(true);
  await session.close();
});

test('a run that fails stops a model for others, pixels of a wrong size do not', async () => {
  const session = await createSession({ ...options(), ...failingOnLight() });
  await using _ = { [Symbol.asyncDispose]: () => session.close() };
  const dark = new Uint8Array(SIDE * SIDE * 3);
  await expect(session.embed(dark.subarray(1), 1)).rejects.toMatchObject({ code: 'invalid_pixels' });
  expect(await session.embed(dark, 1)).toHaveLength(3);
  expect(session.stopped).toBe(false);
  await expect(session.embed(dark.fill(255), 1)).rejects.toMatchObject({ code: 'inference_failed' });
  expect(session.stopped).toBe(true);
});
