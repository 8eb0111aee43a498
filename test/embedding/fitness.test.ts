import { describe, expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { readSettings } from '../../src/base/settings.ts';
import { embeddingFitness } from '../../src/embedding/fitness.ts';
import { findUnfit } from '../../src/worker/fitness.ts';
import { startSimulator } from '../../src/worker/simulator/simulator.ts';

describe('an extraction worker', () => {
  const check = (environment: Record<string, string>) =>
    findUnfit(
      embeddingFitness(() => readSettings(environment), 100),
      { log: SILENT_LOG, signal: new AbortController().signal },
    );

  test('is fit on a CPU with no store configured', async () => {
    expect(await check({})).toBeUndefined();
  });

  test('is not where a GPU was promised and is not there', async () => {
    expect(await check({ ONNX_PROVIDERS: 'cpu', REQUIRE_GPU: '1' })).toMatchObject({
      check: 'execution provider',
    });
  });

  test('is not where a configured store does not answer', async () => {
    await using closed = await startSimulator();
    const { url } = closed;
    await closed.close();
    expect(await check({ QDRANT_URL: url, QDRANT_API_KEY: 'k' })).toMatchObject({ check: 'qdrant' });
  });
});
