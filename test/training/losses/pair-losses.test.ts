import { describe, expect, test } from '@jest/globals';

import { randomNumbers } from '../../../src/model/small/random.ts';
import { batchHardTriplet } from '../../../src/training/losses/batch-hard-triplet.ts';
import type { PairBatch } from '../../../src/training/losses/pairs.ts';
import { supervisedContrastive } from '../../../src/training/losses/supervised-contrastive.ts';
import type { ShapedGraph } from '../../../src/training/shaped-graph.ts';
import { differences, expectClose, runScalar } from './run-graph.ts';

const LENGTH = 3;
const CLASSES = 3;
const TEMPERATURE = 0.3;
const MARGIN = 0.4;

interface Batch {
  embeddings: number[];
  labels: number[];
  weights: number[];
}

const unit = (vector: readonly number[]): number[] => {
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
};
const vectors = ({ embeddings, labels }: Batch): number[][] =>
  labels.map((_, i) => unit(embeddings.slice(i * LENGTH, (i + 1) * LENGTH)));
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);

/** Weighted mean over the anchors that have a loss. */
function overAnchors(batch: Batch, loss: (anchor: number, others: number[]) => number | undefined): number {
  const rows = batch.labels.map((_, i) => i).filter((i) => (batch.weights[i] ?? 0) > 0);
  let sum = 0;
  let total = 0;
  for (const anchor of rows) {
    const value = loss(
      anchor,
      rows.filter((i) => i !== anchor),
    );
    if (value === undefined) continue;
    sum += (batch.weights[anchor] ?? 0) * value;
    total += batch.weights[anchor] ?? 0;
  }
  return total === 0 ? 0 : sum / total;
}

/** Khosla et al., 2020, eq. 2. */
function contrastive(batch: Batch): number {
  const z = vectors(batch);
  const similarity = (i: number, k: number): number => dot(z[i] ?? [], z[k] ?? []) / TEMPERATURE;
  return overAnchors(batch, (anchor, others) => {
    const positives = others.filter((i) => batch.labels[i] === batch.labels[anchor]);
    if (positives.length === 0) return undefined;
    const sum = others.reduce((s, i) => s + Math.exp(similarity(anchor, i)), 0);
    return -positives.reduce((s, i) => s + similarity(anchor, i) - Math.log(sum), 0) / positives.length;
  });
}

/** Hermans et al., 2017, eq. 5. */
function triplet(batch: Batch): number {
  const z = vectors(batch);
  const distance = (i: number, k: number): number => Math.sqrt(2 - 2 * dot(z[i] ?? [], z[k] ?? []));
  return overAnchors(batch, (anchor, others) => {
    const same = others.filter((i) => batch.labels[i] === batch.labels[anchor]);
    const rest = others.filter((i) => batch.labels[i] !== batch.labels[anchor]);
    if (same.length === 0 || rest.length === 0) return undefined;
    const farthest = Math.max(...same.map((i) => distance(anchor, i)));
    const nearest = Math.min(...rest.map((i) => distance(anchor, i)));
    return Math.max(0, MARGIN + farthest - nearest);
  });
}

type Loss = (g: ShapedGraph, batch: PairBatch) => string;
const LOSSES: [string, Loss, (batch: Batch) => number][] = [
  [
    'supervised contrastive',
    (g, b) => supervisedContrastive(g, b, { temperature: TEMPERATURE }),
    contrastive,
  ],
  ['batch-hard triplet', (g, b) => batchHardTriplet(g, b, { margin: MARGIN }), triplet],
];

const random = randomNumbers(11);
const batchOf = (labels: number[], weights = labels.map(() => 1)): Batch => ({
  embeddings: labels.flatMap(() => [random() * 2, random() * 2, random() * 2]),
  labels,
  weights,
});

function run(loss: Loss, { embeddings, labels, weights }: Batch) {
  const rows = labels.length;
  const targets = labels.flatMap((label) => Array.from({ length: CLASSES }, (_, c) => (c === label ? 1 : 0)));
  return runScalar(
    {
      e: { dims: [rows, LENGTH], values: embeddings },
      t: { dims: [rows, CLASSES], values: targets },
      w: { dims: [rows], values: weights },
    },
    ['e'],
    (g) => loss(g, { embeddings: 'e', targets: 't', weights: 'w' }),
  );
}

describe.each(LOSSES)('%s', (_, loss, reference) => {
  test.each<[string, Batch]>([
    ['several of each label', batchOf([0, 1, 0, 1, 2, 2, 0])],
    ['an anchor without a positive', batchOf([0, 0, 1, 2, 2])],
    ['weights, and a row that does not count', batchOf([0, 1, 0, 1, 1, 0], [1, 2, 0.5, 1, 0, 1])],
    ['one label only', batchOf([1, 1, 1])],
  ])('is the formula, and its gradient that of the formula: %s', async (__, batch) => {
    const found = await run(loss, batch);
    // ONNX Runtime merges the temperature into the product as a float32.
    expect(found.value).toBeCloseTo(reference(batch), 6);
    const slopes = differences((embeddings) => reference({ ...batch, embeddings }), batch.embeddings);
    expectClose(found.gradients.e ?? [], slopes, 1e-5);
  });

  test('a row of weight 0 is nobody’s positive or negative', async () => {
    const batch = batchOf([0, 1, 0, 1], [1, 1, 1, 1]);
    const padded = {
      embeddings: [...batch.embeddings, ...batch.embeddings.slice(0, LENGTH)],
      labels: [...batch.labels, 1],
      weights: [...batch.weights, 0],
    };
    const [found, expected] = [await run(loss, padded), await run(loss, batch)];
    expect(found.value).toBeCloseTo(expected.value, 12);
    expectClose(found.gradients.e ?? [], [...(expected.gradients.e ?? []), 0, 0, 0], 1e-12);
  });

  test('equal vectors, and vectors of zeros, give finite gradients', async () => {
    const found = await run(loss, {
      embeddings: [1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0],
      labels: [0, 0, 1, 1],
      weights: [1, 1, 1, 1],
    });
    expect(Number.isFinite(found.value)).toBe(true);
    expect(found.gradients.e?.every(Number.isFinite)).toBe(true);
  });
});
