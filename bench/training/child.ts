/**
 * One contender of `npm run bench:training`, in a process of its own: prepares, says so, then makes one run for each
 * message and answers with its time. `node child.ts <model> <what>`.
 */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { SILENT_LOG } from '../../src/base/log.ts';
import { prefetch } from '../../src/flow/streams.ts';
import { outputSize, type Preprocessing } from '../../src/image/preprocessing.ts';
import { createGraphHost } from '../../src/model/graph-host.ts';
import { buildSmallConv } from '../../src/model/small/small-conv.ts';
import { randomNumbers } from '../../src/model/small/random.ts';
import { readModel, writeModel } from '../../src/onnx/codec.ts';
import { keepOutputs } from '../../src/onnx/inspect.ts';
import { toEmbeddingModel } from '../../src/onnx/rewrite.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { createTrainer } from '../../src/training/create-trainer.ts';
import type { FeatureSource, Strategy, Trainer, TrainBatch } from '../../src/training/trainer.ts';
import { buildVitSmall, vitPreprocessing } from '../limit/vit-small.ts';
import { buildResNet50 } from './resnet50.ts';

export type ModelName = 'vit_s' | 'resnet50' | 'head';
export type Contender = 'forward' | 'waiting' | Strategy['kind'];

export interface Timed {
  ms: number;
  /** CPU time of all threads, in milliseconds. */
  cpuMs: number;
  /** Of a run of several steps: the share of its time in which the trainer waited for its next batch. */
  waiting?: number;
  peakMb: number;
}

const CLASSES = 100;
const BATCH = 8;
const HEAD_BATCH = 256;
const HEAD_LENGTH = 768;
const WAITING_STEPS = 6;

interface Subject {
  model: OnnxModel;
  features: FeatureSource;
  preprocessing: Preprocessing;
  batch: number;
}

const CLASSIFIER = { kind: 'before_classifier' } as const;
const SUBJECTS: Record<ModelName, () => Subject> = {
  vit_s: () => ({
    model: buildVitSmall(),
    features: { kind: 'output', outputs: [{ name: 'last_hidden_state', pooling: 'class_token' }] },
    preprocessing: vitPreprocessing,
    batch: BATCH,
  }),
  resnet50: () => ({
    model: buildResNet50(),
    features: CLASSIFIER,
    preprocessing: vitPreprocessing,
    batch: BATCH,
  }),
  head: () => ({
    model: buildSmallConv({ size: 16, channels: HEAD_LENGTH }),
    features: CLASSIFIER,
    preprocessing: { ...vitPreprocessing, crop: { width: 16, height: 16 } },
    batch: HEAD_BATCH,
  }),
};
const STRATEGIES: Record<Strategy['kind'], Strategy> = {
  head: { kind: 'head' },
  lora: { kind: 'lora', rank: 8, alpha: 16 },
  last_k: { kind: 'last_k', layers: 9 },
  full: { kind: 'full', layerDecay: 1 },
};

const HOST = { providers: ['cpu'], requireGpu: false, log: SILENT_LOG } as const;

/** The original file, with the pixels' front and all of ONNX Runtime's optimisations, as one fixed batch. */
async function forward({ model, features, preprocessing, batch }: Subject): Promise<() => Promise<unknown>> {
  const [output = ''] =
    features.kind === 'output'
      ? features.outputs.map(({ name }) => name)
      : model.graph.outputs.map(({ name }) => name);
  const kept = readModel(writeModel({ ...model, graph: keepOutputs(model.graph, [output]) }));
  const { rescale, mean, std } = preprocessing;
  const rewritten = toEmbeddingModel(kept, {
    input: model.graph.inputs[0]?.name ?? '',
    outputs: [{ name: output, pooling: features.kind === 'output' ? 'class_token' : 'as_is' }],
    ...outputSize(preprocessing),
    rescale,
    mean,
    std,
    batchSize: batch,
    unitLength: false,
  });
  const host = createGraphHost(HOST);
  await host.load('forward', writeModel(rewritten.model));
  const { height, width } = outputSize(preprocessing);
  const pixels = randomBytes(batch * height * width * 3);
  return () =>
    host.run({
      graph: 'forward',
      feeds: { [rewritten.inputName]: { data: pixels.slice(), dims: [batch, height, width, 3] } },
      returns: [rewritten.outputName],
    });
}

async function trainerOf(subject: Subject, strategy: Strategy): Promise<Trainer> {
  const { model, features, preprocessing, batch } = subject;
  return createTrainer({
    model: {
      name: 'bench',
      where: 'built by the benchmark',
      bytes: writeModel(model),
      folder: null,
      preprocessing,
    },
    features,
    classes: CLASSES,
    strategy,
    loss: { kind: 'cross_entropy', smoothing: 0.1 },
    optimiser: { kind: 'adamw', weightDecay: 0.01 },
    clipNorm: 1,
    averageDecay: 0.9999,
    dropRate: 0.1,
    batchSize: batch,
    pixels: 'uint8',
    seed: 1,
    ...HOST,
  });
}

function batchOf({ preprocessing, batch }: Subject, strategy: Strategy): TrainBatch {
  const { height, width } = outputSize(preprocessing);
  const inputs =
    strategy.kind === 'head'
      ? Float32Array.from({ length: batch * HEAD_LENGTH }, randomNumbers(2))
      : randomBytes(batch * height * width * 3);
  return { inputs, ...labels(batch) };
}

function labels(batch: number): Pick<TrainBatch, 'targets' | 'weights'> {
  const targets = new Float32Array(batch * CLASSES);
  for (let row = 0; row < batch; row += 1) targets[row * CLASSES + (row % CLASSES)] = 1;
  return { targets, weights: new Float32Array(batch).fill(1) };
}

async function steps(subject: Subject, strategy: Strategy): Promise<() => Promise<unknown>> {
  const trainer = await trainerOf(subject, strategy);
  const batch = batchOf(subject, strategy);
  return () => trainer.step(batch, { learningRate: 1e-4 });
}

/** Low-rank steps on pictures that come from a file on the disk, as a cache of decoded pictures is. */
async function waiting(subject: Subject): Promise<() => Promise<{ waiting: number }>> {
  const trainer = await trainerOf(subject, STRATEGIES.lora);
  const { height, width } = outputSize(subject.preprocessing);
  const bytes = subject.batch * height * width * 3;
  const folder = await mkdtemp(join(tmpdir(), 'bench-training-'));
  const path = join(folder, 'pictures');
  await writeFile(path, randomBytes(bytes * WAITING_STEPS));
  process.once('disconnect', () => void rm(folder, { recursive: true }));
  async function* batches(): AsyncGenerator<TrainBatch> {
    await using file = await open(path);
    for (let i = 0; i < WAITING_STEPS; i += 1) {
      const inputs = new Uint8Array(bytes);
      await file.read(inputs, 0, bytes, i * bytes);
      yield { inputs, ...labels(subject.batch) };
    }
  }
  return async () => {
    let waited = 0;
    const begun = performance.now();
    let since = begun;
    for await (const batch of prefetch(batches(), 1)) {
      waited += performance.now() - since;
      await trainer.step(batch, { learningRate: 1e-4 });
      since = performance.now();
    }
    return { waiting: waited / (performance.now() - begun) };
  };
}

function randomBytes(length: number): Uint8Array {
  const random = randomNumbers(1);
  return Uint8Array.from({ length }, () => 128 + 127 * random());
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

async function serve(name: ModelName, contender: Contender): Promise<void> {
  const subject = SUBJECTS[name]();
  const run =
    contender === 'forward'
      ? await forward(subject)
      : contender === 'waiting'
        ? await waiting(subject)
        : await steps(subject, STRATEGIES[contender]);
  process.on('message', () => {
    void (async () => {
      const [begun, cpu] = [performance.now(), cpuMs()];
      const result = await run();
      const timed: Timed = {
        ms: performance.now() - begun,
        cpuMs: cpuMs() - cpu,
        peakMb: process.resourceUsage().maxRSS / 1024,
        ...(contender === 'waiting' ? (result as { waiting: number }) : {}),
      };
      process.send?.(timed);
    })();
  });
  process.send?.('ready');
}

const [model, contender] = process.argv.slice(2);
await serve(model as ModelName, contender as Contender);
