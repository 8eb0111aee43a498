import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { notOnGpu, readPlacement } from '../../src/model/placement.ts';
import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import { folder } from './support.ts';

test('ONNX Runtime’s own profile tells a run on the CPU', async () => {
  await using profiles = await folder();
  const session = await InferenceSession.create(writeModel(buildTinyVit()), {
    enableProfiling: true,
    profileFilePrefix: join(profiles.path, 'probe'),
  });
  await session.run({ pixel_values: new Tensor('float32', new Float32Array(3 * 32 * 32), [1, 3, 32, 32]) });
  session.endProfiling();
  await session.release();
  const [name = ''] = await readdir(profiles.path);
  const placement = readPlacement(await readFile(join(profiles.path, name), 'utf8'));
  expect(placement.gpuNodes).toBe(0);
  expect(placement.cpuNodes).toBeGreaterThan(10);
  expect(placement.cpuOperators).toContain('MatMul');
  expect(notOnGpu(placement)).toMatch(/every operator ran on the CPU/);
});

test('shape arithmetic on the CPU is no fault, a MatMul there is', () => {
  const profile = (cpu: string): string =>
    JSON.stringify([
      { cat: 'Session', name: 'model_run', args: {} },
      { cat: 'Node', name: 'a_kernel_time', args: { provider: 'CUDAExecutionProvider', op_name: 'Conv' } },
      { cat: 'Node', name: 'b_kernel_time', args: { provider: 'CPUExecutionProvider', op_name: cpu } },
    ]);
  expect(readPlacement(profile('Gather'))).toEqual({ gpuNodes: 1, cpuNodes: 1, cpuOperators: ['Gather'] });
  expect(notOnGpu(readPlacement(profile('Gather')))).toBeNull();
  expect(notOnGpu(readPlacement(profile('FusedMatMul')))).toMatch(/FusedMatMul ran on the CPU/);
});
