import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';
import { z } from 'zod';

import { WORKER_KEYS } from '../../scripts/deploy/settings.ts';
import { ROOT } from './support.ts';

const read = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'));

const cuda = z.array(z.string().regex(/^\d+\.\d+$/));
const pair = z.strictObject({ key: z.enum(WORKER_KEYS), value: z.string() });
const named = { name: z.string(), description: z.string(), advanced: z.boolean().optional() };
const option = z.strictObject({ label: z.string(), value: z.string() });
const input = z.discriminatedUnion('type', [
  z.strictObject({
    ...named,
    type: z.literal('string'),
    default: z.string().optional(),
    options: z.array(option).optional(),
  }),
  z.strictObject({
    ...named,
    type: z.literal('number'),
    min: z.number(),
    max: z.number(),
    default: z.number().optional(),
  }),
]);
/** As RunPod's publishing guide has the two files. */
const HUB = z.strictObject({
  title: z.string(),
  description: z.string(),
  type: z.literal('serverless'),
  category: z.enum(['audio', 'embedding', 'language', 'video', 'image']),
  config: z.strictObject({
    runsOn: z.literal('GPU'),
    containerDiskInGb: z.int().positive(),
    gpuCount: z.int().positive(),
    gpuIds: z.string(),
    allowedCudaVersions: cuda,
    presets: z.array(
      z.strictObject({
        name: z.string(),
        defaults: z.partialRecord(z.enum(WORKER_KEYS), z.union([z.string(), z.number()])),
      }),
    ),
    env: z.array(z.union([pair, z.strictObject({ key: z.enum(WORKER_KEYS), input })])),
  }),
});
const TESTS = z.strictObject({
  tests: z
    .array(z.strictObject({ name: z.string(), input: z.unknown(), timeout: z.int().positive() }))
    .min(1),
  config: z.strictObject({
    gpuTypeId: z.string(),
    gpuCount: z.int(),
    env: z.array(pair),
    allowedCudaVersions: cuda,
  }),
});

test('hub.json is as the hub has it, and names settings of the worker alone', () => {
  expect(HUB.safeParse(read('.runpod/hub.json')).error).toBeUndefined();
});

test("tests.json is as the hub has it, and its job is the image's test input", () => {
  const tests = TESTS.parse(read('.runpod/tests.json'));
  const own = read('handlers/embedding.test_input.json') as { input: unknown };
  expect(tests.tests[0]?.input).toEqual(own.input);
});

test('the Dockerfile that the hub looks for is that of the embedding image', () => {
  expect(realpathSync(join(ROOT, '.runpod/Dockerfile'))).toBe(
    realpathSync(join(ROOT, 'Dockerfile.embedding')),
  );
});
