import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, test } from '@jest/globals';

import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import { modelFolder } from './support.ts';

const MIB = 2 ** 20;

test('a model that is loaded keeps no second copy of its file’s bytes, here or in its threads', async () => {
  const model = buildTinyVit({ dim: 768 });
  const bytes = writeModel(model).length;
  expect(bytes).toBeGreaterThan(12 * MIB);
  await using models = await modelFolder('dinov2-small', model);
  const script = `
    const { loadEmbeddingModel } = await import('./src/model/load.ts');
    const { SILENT_LOG: log } = await import('./src/base/log.ts');
    const { setTimeout: sleep } = await import('node:timers/promises');
    const [providers, modelType, modelDir] = [['cpu'], 'dinov2-small', ${JSON.stringify(models.path)}];
    const options = { providers, modelType, modelDir, requireGpu: false, sessions: 2, batchSize: 1, log };
    const model = await loadEmbeddingModel(options);
    for (let i = 0; i < 5; i += 1) {
      gc();
      await sleep(20);
    }
    const { external, arrayBuffers } = process.memoryUsage();
    console.log(Math.max(external, arrayBuffers));
    await model.close();
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', '-e', `void (async () => {${script}})()`],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)) },
  );
  expect(Number(stdout)).toBeLessThan(bytes);
});
