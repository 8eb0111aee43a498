import { createHash } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { fingerprintOf, type FingerprintParts } from '../../src/model/fingerprint.ts';
import { folder, SMALL } from './support.ts';

const base: FingerprintParts = {
  name: 'dinov2-base',
  weights: [Uint8Array.of(1, 2, 3)],
  preprocessing: SMALL,
  pooling: { output: 'last_hidden_state', pooling: 'class_token', normalise: 'l2' },
};

test('is name@16 hex, and stays the same in the next release', async () => {
  // By hand, so that a change of what goes in (which would orphan every stored collection) is seen.
  const json =
    '{"pooling":{"normalise":"l2","output":"last_hidden_state","pooling":"class_token"},"preprocessing":{' +
    '"alpha":"drop","crop":null,"mean":[0.485,0.456,0.406],"orient":true,"resample":"bicubic",' +
    '"rescale":0.00392156862745098,"rescaleBeforeResize":false,"resize":{"height":32,"kind":"exact","width":32},' +
    '"std":[0.229,0.224,0.225]}}';
  const weights = createHash('sha256')
    .update(Uint8Array.of(1, 2, 3))
    .digest();
  const expected = createHash('sha256').update(weights).update(json).digest('hex').slice(0, 16);
  expect(await fingerprintOf(base)).toBe(`dinov2-base@${expected}`);
});

test('does not depend on the order of keys', async () => {
  const turned = Object.fromEntries(Object.entries(SMALL).reverse()) as unknown as typeof SMALL;
  expect(await fingerprintOf({ ...base, preprocessing: turned })).toBe(await fingerprintOf(base));
});

test('differs with weights, preprocessing, orientation, alpha, pooling and name', async () => {
  const others: FingerprintParts[] = [
    base,
    { ...base, name: 'dinov2-small' },
    { ...base, weights: [Uint8Array.of(1, 2, 4)] },
    { ...base, weights: [Uint8Array.of(1, 2), Uint8Array.of(3)] },
    { ...base, preprocessing: { ...SMALL, resample: 'bilinear' } },
    { ...base, preprocessing: { ...SMALL, orient: false } },
    { ...base, preprocessing: { ...SMALL, alpha: 'white' } },
    { ...base, preprocessing: { ...SMALL, mean: [0.5, 0.456, 0.406] } },
    { ...base, pooling: { output: 'pooler_output', pooling: 'as_is', normalise: 'l2' } },
  ];
  const prints = await Promise.all(others.map(fingerprintOf));
  expect(new Set(prints).size).toBe(others.length);
});

test('a file counts by what is in it, not by where it lies', async () => {
  await using a = await folder();
  await using b = await folder();
  const content = Buffer.alloc(3_000_000, 7);
  const paths = [await a.write('model.onnx_data', content), await b.write('sub/other.bin', content)];
  const [first, second] = await Promise.all(
    paths.map((path) => fingerprintOf({ ...base, weights: [Uint8Array.of(1), path] })),
  );
  expect(first).toBe(second);
  expect(first).toBe(await fingerprintOf({ ...base, weights: [Uint8Array.of(1), content] }));
  expect(first).not.toBe(await fingerprintOf(base));
});
