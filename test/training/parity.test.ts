import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { randomNumbers } from '../../src/model/small/random.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import { gradients } from '../../src/training/backward.ts';
import { sizeOf, type Dims } from '../../src/training/dims.ts';
import { importGraph } from '../../src/training/import/import-graph.ts';

/** What scripts/write-training-fixtures.py writes. */
interface Expected {
  batch: number;
  side: number;
  classes: number;
  loss: number;
  gradients: Record<string, { initializer: string; dims: number[]; offset: number }>;
  notInFile: string[];
  adamw: {
    lr: number;
    betas: [number, number];
    eps: number;
    weight_decay: number;
    decayed: string[];
    losses: number[];
  };
}

const FIXTURES = join(import.meta.dirname, '../fixtures/training');
const MODELS = readdirSync(FIXTURES);

/** Of a tensor's greatest gradient. */
const WORST_RELATIVE_ERROR = 1e-4;
/** Of the model's greatest gradient: below lies the noise of one that is zero, as that of an attention's key bias. */
const NOISE = 1e-4;

interface Trainer extends AsyncDisposable {
  values: Map<string, Float32Array>;
  /** The loss and every gradient at the current values. */
  step(): Promise<{ loss: number; gradient: (name: string) => Float32Array }>;
}

/** A fixture's model with a loss and the gradients of all its parameters, which are inputs. */
async function trainer(folder: string, expected: Expected): Promise<Trainer> {
  const { batch, side, classes } = expected;
  const path = join(folder, 'model.onnx');
  const { graph, input, output, parameters } = await importGraph({
    path,
    batchSize: batch,
    inputDims: [batch, 3, side, side],
  });
  for (const { name, dims } of parameters) {
    graph.free(name);
    graph.input(name, 'float32', dims);
  }
  const targets = graph.input('targets', 'float32', [batch, classes]);
  const each = graph.sum(graph.mul(graph.logSoftmax(output), targets), [1], false);
  const loss = graph.neg(graph.mean(each, [0], false));
  const found = gradients(
    graph,
    loss,
    parameters.map(({ name }) => name),
  );
  graph.clearOutputs();
  graph.output(loss, 'loss');
  for (const { name } of parameters) graph.output(found.get(name) ?? '', `d/${name}`);
  const session = await InferenceSession.create(writeModel(graph.toModel()), { logSeverityLevel: 3 });

  const pictures = randomTensor(11, [batch, 3, side, side]);
  const dims = new Map<string, Dims>(parameters.map((parameter) => [parameter.name, parameter.dims]));
  const values = new Map(parameters.map((parameter) => [parameter.name, parameter.values()]));
  return {
    values,
    step: async () => {
      const feeds = Array.from(
        values,
        ([name, data]) => [name, new Tensor('float32', data, dims.get(name) ?? [])] as const,
      );
      const results = await session.run({
        ...Object.fromEntries(feeds),
        [input]: pictures,
        targets: softTargets(batch, classes),
      });
      return {
        loss: Number(results.loss?.data[0]),
        gradient: (name) => results[`d/${name}`]?.data as Float32Array,
      };
    },
    [Symbol.asyncDispose]: () => session.release(),
  };
}

function randomTensor(seed: number, dims: Dims): Tensor {
  return new Tensor('float32', Float32Array.from({ length: sizeOf(dims) }, randomNumbers(seed)), dims);
}

/** A softmax of random numbers a row. */
function softTargets(batch: number, classes: number): Tensor {
  const random = randomNumbers(13);
  const rows = Array.from({ length: batch }, () => {
    const exps = Array.from({ length: classes }, () => Math.exp(2 * Math.fround(random())));
    const total = exps.reduce((a, b) => a + b, 0);
    return exps.map((e) => e / total);
  });
  return new Tensor('float32', Float32Array.from(rows.flat()), [batch, classes]);
}

/** AdamW as its authors wrote it (Loshchilov & Hutter 2019, algorithm 2), on plain arrays. */
function adamw(settings: Expected['adamw']) {
  const moments = new Map<string, { first: Float64Array; second: Float64Array }>();
  const [beta1, beta2] = settings.betas;
  return (
    values: ReadonlyMap<string, Float32Array>,
    gradient: (name: string) => Float32Array,
    step: number,
  ) => {
    for (const [name, data] of values) {
      const empty = { first: new Float64Array(data.length), second: new Float64Array(data.length) };
      const { first, second } = moments.get(name) ?? empty;
      moments.set(name, { first, second });
      const decay = settings.decayed.includes(name) ? settings.weight_decay : 0;
      gradient(name).forEach((g, i) => {
        const m = (first[i] = beta1 * (first[i] ?? 0) + (1 - beta1) * g);
        const v = (second[i] = beta2 * (second[i] ?? 0) + (1 - beta2) * g * g);
        const update = m / (1 - beta1 ** step) / (Math.sqrt(v / (1 - beta2 ** step)) + settings.eps);
        data[i] = (data[i] ?? 0) * (1 - settings.lr * decay) - settings.lr * update;
      });
    }
  };
}

describe.each(MODELS)('%s', (name) => {
  const folder = join(FIXTURES, name);
  const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected;

  test("gradients are torch's", async () => {
    const bytes = await readFile(join(folder, 'gradients.bin'));
    const all = new Float32Array(Uint8Array.from(bytes).buffer);
    await using trained = await trainer(folder, expected);
    const { loss, gradient } = await trained.step();
    expect(loss).toBeCloseTo(expected.loss, 5);
    // Every parameter of torch's is in the file and is found, and nothing else is.
    const places = Object.values(expected.gradients);
    expect(expected.notInFile).toEqual([]);
    expect([...trained.values.keys()].sort()).toEqual(places.map(({ initializer }) => initializer).sort());
    const floor = NOISE * Math.max(...all.map(Math.abs));
    const errors = places.map(({ initializer, dims, offset }) => {
      const wanted = all.subarray(offset, offset + sizeOf(dims));
      const found = gradient(initializer);
      const scale = Math.max(...wanted.map(Math.abs), floor);
      const worst = wanted.reduce((m, w, i) => Math.max(m, Math.abs(w - (found[i] ?? NaN))), 0);
      return { initializer, error: worst / scale };
    });
    if (process.env.SHOW_ERRORS !== undefined) {
      const top = errors.toSorted((a, b) => b.error - a.error)[0];
      process.stdout.write(
        `${name}: ${String(errors.length)} worst ${String(top?.error)} ${String(top?.initializer)}\n`,
      );
    }
    expect(errors.filter(({ error }) => !(error < WORST_RELATIVE_ERROR))).toEqual([]);
  });

  test("six steps of AdamW have torch's losses", async () => {
    await using trained = await trainer(folder, expected);
    const update = adamw(expected.adamw);
    const losses: number[] = [];
    for (const step of expected.adamw.losses.keys()) {
      const { loss, gradient } = await trained.step();
      losses.push(loss);
      update(trained.values, gradient, step + 1);
    }
    losses.forEach((loss, i) => expect(loss).toBeCloseTo(expected.adamw.losses[i] ?? NaN, 4));
  });
});
