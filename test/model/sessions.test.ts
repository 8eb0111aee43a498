import { readdir } from 'node:fs/promises';

import { expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { loadEmbeddingModel } from '../../src/model/load.ts';
import type { SessionOptions } from '../../src/model/session.ts';
import { createSessions } from '../../src/model/sessions.ts';
import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { CPU, failingOnLight, folder, modelFolder, randomPixels, SIDE, sized } from './support.ts';

/** A thread of this source that has come up with vectors of one number. */
function threadOf(source: string): URL {
  const text = `
    import { parentPort } from 'node:worker_threads';
    const ready = { type: 'ready', dim: 1, provider: 'cpu', batchSize: 2, failures: [] };
    ${source}
  `;
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

function options(thread: URL, sessions = 2): SessionOptions {
  return {
    model: new Uint8Array(8),
    inputName: 'pixels',
    outputName: 'vectors',
    width: SIDE,
    height: SIDE,
    fixedBatch: null,
    providers: ['cpu'],
    requireGpu: false,
    log: SILENT_LOG,
    thread,
    ...sized(2, { sessions }),
  };
}

test('as many batches run at the same time as there are sessions', async () => {
  // Each answers only when another one has been given a batch too.
  const thread = threadOf(`
    const others = new BroadcastChannel('sessions.test');
    const ids = [];
    let met = 0;
    const answer = () => {
      while (met > 0 && ids.length > 0) {
        met -= 1;
        parentPort.postMessage({ type: 'vectors', id: ids.shift(), vectors: new Float32Array(1) });
      }
    };
    others.onmessage = () => { met += 1; answer(); };
    parentPort.on('message', ({ type, id }) => {
      if (type === 'close') { others.close(); parentPort.close(); return; }
      ids.push(id);
      others.postMessage(0);
      answer();
    });
    parentPort.postMessage(ready);
  `);
  const session = await createSessions(options(thread));
  try {
    const answers = await Promise.all([1, 2, 3, 4].map(() => session.embed(randomPixels(1), 1)));
    expect(answers).toHaveLength(4);
  } finally {
    await session.close();
  }
});

test('one that does not come up ends the others, and its reason is told', async () => {
  await using place = await folder();
  // The first one comes up; the second finds its sign.
  const thread = threadOf(`
    import { existsSync, writeFileSync } from 'node:fs';
    const [sign, closed] = ${JSON.stringify([`${place.path}/sign`, `${place.path}/closed`])};
    if (existsSync(sign)) {
      parentPort.postMessage({ type: 'failed', code: 'model_load_failed', message: 'no room for another' });
    } else {
      writeFileSync(sign, '');
      parentPort.on('message', ({ type }) => {
        if (type !== 'close') return;
        writeFileSync(closed, '');
        parentPort.close();
      });
      parentPort.postMessage(ready);
    }
  `);
  await expect(createSessions(options(thread))).rejects.toThrow(/no room for another/);
  expect(await readdir(place.path)).toEqual(['closed', 'sign']);
});

test('several give the vectors that one gives, and run what several callers ask', async () => {
  await using models = await modelFolder('dinov2-small', buildTinyVit());
  const wanted = { ...CPU, modelType: 'dinov2-small', modelDir: models.path, batchSize: 2 } as const;
  await using one = await loadEmbeddingModel({ ...wanted, sessions: 1 });
  await using two = await loadEmbeddingModel({ ...wanted, sessions: 2 });
  expect(two.sizes.sessions).toEqual({ value: 2, from: 'set' });
  const pixels = Array.from({ length: 6 }, (_, i) => randomPixels(2, i + 1));
  const expected = await Promise.all(pixels.map((some) => one.embed(some, 2)));
  expect(await Promise.all(pixels.map((some) => two.embed(some, 2)))).toEqual(expected);
  expect(two.fingerprint).toBe(one.fingerprint);
});

test('a run that fails in one stops the model for others, and closing ends all', async () => {
  const { model, inputName, outputName } = failingOnLight();
  const { thread: _, ...real } = options(new URL('data:,'));
  const session = await createSessions({
    ...real,
    model,
    inputName,
    outputName,
    ...sized(1, { sessions: 2 }),
  });
  const light = new Uint8Array(SIDE * SIDE * 3).fill(255);
  await expect(session.embed(light, 1)).rejects.toMatchObject({ code: 'inference_failed' });
  expect(session.stopped).toBe(true);
  await session.close();
  await expect(session.embed(light, 1)).rejects.toMatchObject({ code: 'model_closed' });
});
