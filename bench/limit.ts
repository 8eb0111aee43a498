/** `npm run bench`: the extraction's pipeline against the limit of this machine's cores. docs/bench.md says how. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { startContender, type RunningContender } from './limit/contender.ts';
import type { Figures, Variant } from './limit/contenders.ts';
import { startImageServer } from './limit/image-server.ts';
import { measureMemory } from './limit/memory.ts';
import { byClock, CONTENDERS, limitOf, report, say, type Rate, type Round } from './limit/report.ts';
import { picturesFolder, prepare, type Setup } from './limit/setup.ts';

interface Plan {
  pictures: number;
  rounds: number;
  /** Images in one run of each. */
  inference: number;
  decoding: number;
  sequential: number;
  transformers: number;
  /** Of the memory run's images. */
  memoryScale: number;
}

const FULL: Plan = {
  pictures: 512,
  rounds: 3,
  inference: 96,
  decoding: 512,
  sequential: 32,
  transformers: 96,
  memoryScale: 1,
};
const QUICK: Plan = {
  pictures: 128,
  rounds: 1,
  inference: 32,
  decoding: 128,
  sequential: 8,
  transformers: 16,
  memoryScale: 0.1,
};

const BATCH_SIZES = [1, 4, 8, 16];
const THREADS = [1, 2];
const PROBE_IMAGES = 16;
const BENCH_FOLDER = fileURLToPath(new URL('.', import.meta.url));
const TRANSFORMERS = join(BENCH_FOLDER, 'node_modules', '@huggingface', 'transformers');

/** Two runs of the same as one. */
function together(a: Figures, b: Figures): Figures {
  const seconds = a.seconds + b.seconds;
  const freeShare = (a.seconds * a.cpu.freeShare + b.seconds * b.cpu.freeShare) / seconds;
  const cpu = { seconds: a.cpu.seconds + b.cpu.seconds, freeShare };
  return { images: a.images + b.images, seconds, cpu };
}

async function installTransformers(): Promise<void> {
  if (existsSync(TRANSFORMERS)) return;
  say('transformers.js is not there: npm ci --prefix bench');
  try {
    await promisify(execFile)('npm', ['ci', '--prefix', BENCH_FOLDER]);
  } catch (cause) {
    throw new Error(
      'transformers.js could not be installed: run `npm ci --prefix bench` where there is a network',
      {
        cause,
      },
    );
  }
}

/** A run of so many threads can use no more of the cores than these, however much is free. */
const byThreads =
  (threads: number): Rate =>
  ({ images, seconds, cpu }) =>
    images / Math.max(seconds * cpu.freeShare, cpu.seconds / threads);

/** The fastest of batches and threads, looked for shortly, twice. */
async function probe(inference: RunningContender): Promise<{ best: Variant; oneThread: number }> {
  const variants = BATCH_SIZES.flatMap((batchSize) => THREADS.map((threads) => ({ batchSize, threads })));
  const rates = variants.map((): number[] => []);
  for (let round = 0; round < 2; round += 1) {
    for (const [i, variant] of variants.entries())
      rates[i]?.push(byThreads(variant.threads)(await inference.run(PROBE_IMAGES, variant)));
  }
  const found = variants.map((variant, i) => ({ variant, rate: Math.max(...(rates[i] ?? [])) }));
  for (const { variant, rate: best } of found) {
    say(`  batch ${variant.batchSize}, ${variant.threads} threads: ${best.toFixed(1)} images/s`);
  }
  const single = found.flatMap(({ variant, rate }) => (variant.threads === 1 ? [rate] : []));
  const best = found.reduce((a, b) => (b.rate > a.rate ? b : a)).variant;
  return { best, oneThread: Math.max(...single) };
}

type Contenders = Record<Exclude<keyof Round, 'two'>, RunningContender>;

/** One after another, so that each has the machine; the model alone is looked at around the pipeline. */
async function playRound(all: Contenders, plan: Plan, best: Variant, twoFirst: boolean): Promise<Round> {
  const inference = (): Promise<Figures> => all.inference.run(plan.inference, best);
  const pipeline = (collections: number): Promise<Figures> =>
    all.pipeline.run(plan.pictures, { collections });
  const before = await inference();
  const decoding = await all.decoding.run(plan.decoding);
  const first = await pipeline(twoFirst ? 2 : 1);
  const between = await inference();
  const second = await pipeline(twoFirst ? 1 : 2);
  const behind = await inference();
  const transformers = await all.transformers.run(plan.transformers);
  const sequential = await all.sequential.run(plan.sequential);
  const [one, two] = twoFirst ? [second, first] : [first, second];
  say(`  ${JSON.stringify(one.told)}`);
  const around = twoFirst ? together(between, behind) : together(before, between);
  return { pipeline: one, two, inference: around, decoding, sequential, transformers };
}

async function bench(plan: Plan): Promise<void> {
  await installTransformers();
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'gpu-handlers-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  say(`${availableParallelism()} cores; drawing ${plan.pictures} pictures and building the model`);
  await prepare(folder, plan.pictures);
  const server = stack.use(await startImageServer(picturesFolder({ folder })));
  const setup: Setup = { folder, images: server.url, server: server.pid, pictures: plan.pictures };
  const start = async (name: string): Promise<RunningContender> =>
    stack.use(await startContender(name, setup));
  const all: Contenders = {
    pipeline: await start('pipeline'),
    inference: await start('inference'),
    decoding: await start('decoding'),
    sequential: await start('sequential'),
    transformers: await start('transformers'),
  };
  say('inference alone');
  const { best, oneThread } = await probe(all.inference);
  const rounds: Round[] = [];
  for (let i = 0; i < plan.rounds; i += 1) {
    say(`round ${i + 1} of ${plan.rounds}`);
    const round = await playRound(all, plan, best, i % 2 === 1);
    rounds.push(round);
    const rates = CONTENDERS.map((name) => `${name} ${byClock(round[name]).toFixed(1)}`);
    say(`  ${rates.join(', ')}; limit ${limitOf(round, byClock).toFixed(1)} images/s`);
  }
  say('memory');
  const memory = await measureMemory(setup, plan.memoryScale);
  const figures = report({ rounds, oneThread, bytesPerImage: memory.bytesPerImage });
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(figures)}\n`);
}

await bench(process.argv.includes('--quick') ? QUICK : FULL);
