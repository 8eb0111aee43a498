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
import { measureMeter } from './limit/meter.ts';
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

/** Images a second of one round, all measured within a minute or so of each other. */
interface Round {
  pipeline: number;
  two: number;
  inference: number;
  decoding: number;
  sequential: number;
  transformers: number;
  delayP99Ms: number;
}

const rate = ({ images, seconds }: Figures): number => images / seconds;
const say = (text: string): void => void process.stderr.write(`${text}\n`);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = NaN, high = NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

/** What the cores could do if each image took its decoding and its inference and nothing else. */
const limitOf = ({ inference, decoding }: Round): number => 1 / (1 / decoding + 1 / inference);

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

/** The fastest of batches and threads, looked for shortly, twice. */
async function bestVariant(inference: RunningContender): Promise<Variant> {
  const variants = BATCH_SIZES.flatMap((batchSize) => THREADS.map((threads) => ({ batchSize, threads })));
  const rates = variants.map((): number[] => []);
  for (let round = 0; round < 2; round += 1) {
    for (const [i, variant] of variants.entries())
      rates[i]?.push(rate(await inference.run(PROBE_IMAGES, variant)));
  }
  const found = variants.map((variant, i) => ({ variant, rate: Math.max(...(rates[i] ?? [])) }));
  for (const { variant, rate: best } of found) {
    say(`  batch ${variant.batchSize}, ${variant.threads} threads: ${best.toFixed(1)} images/s`);
  }
  return found.reduce((a, b) => (b.rate > a.rate ? b : a)).variant;
}

interface Contenders {
  pipeline: RunningContender;
  inference: RunningContender;
  decoding: RunningContender;
  sequential: RunningContender;
  transformers: RunningContender;
}

/** One after another, so that each has the machine; the model's own speed is looked at before and behind the pipeline's. */
async function playRound(all: Contenders, plan: Plan, best: Variant, twoFirst: boolean): Promise<Round> {
  const before = rate(await all.inference.run(plan.inference, best));
  const decoding = rate(await all.decoding.run(plan.decoding));
  const first = await all.pipeline.run(plan.pictures, { collections: twoFirst ? 2 : 1 });
  const between = rate(await all.inference.run(plan.inference, best));
  const second = await all.pipeline.run(plan.pictures, { collections: twoFirst ? 1 : 2 });
  const behind = rate(await all.inference.run(plan.inference, best));
  const transformers = rate(await all.transformers.run(plan.transformers));
  const sequential = rate(await all.sequential.run(plan.sequential));
  const [one, two] = twoFirst ? [second, first] : [first, second];
  say(`  ${JSON.stringify(one.told)}`);
  return {
    pipeline: rate(one),
    two: rate(two),
    inference: twoFirst ? (between + behind) / 2 : (before + between) / 2,
    decoding,
    sequential,
    transformers,
    delayP99Ms: Math.max(one.delayP99Ms ?? NaN, two.delayP99Ms ?? NaN),
  };
}

async function bench(plan: Plan): Promise<void> {
  await installTransformers();
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'gpu-handlers-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  say(`${availableParallelism()} cores; drawing ${plan.pictures} pictures and building the model`);
  await prepare(folder, plan.pictures);
  const server = stack.use(await startImageServer(picturesFolder({ folder })));
  const setup: Setup = { folder, images: server.url, pictures: plan.pictures };
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
  const best = await bestVariant(all.inference);
  const rounds: Round[] = [];
  for (let i = 0; i < plan.rounds; i += 1) {
    say(`round ${i + 1} of ${plan.rounds}`);
    rounds.push(await playRound(all, plan, best, i % 2 === 1));
    say(
      `  ${JSON.stringify(rounds.at(-1), (_, value: unknown) => (typeof value === 'number' ? rounded(value) : value))}`,
    );
  }
  say('memory');
  const memory = await measureMemory(setup, plan.memoryScale);
  report(rounds, memory.bytesPerImage);
}

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;

function report(rounds: readonly Round[], bytesPerImage: number): void {
  const of = (figure: (round: Round) => number): number => rounded(median(rounds.map(figure)));
  const figures = {
    images_per_second: of(({ pipeline }) => pipeline),
    vs_limit: of((round) => round.pipeline / limitOf(round)),
    vs_transformers_js: of(({ pipeline, transformers }) => pipeline / transformers),
    vs_sequential: of(({ pipeline, sequential }) => pipeline / sequential),
    two_collections_vs_one: of(({ two, pipeline }) => two / pipeline),
    bytes_per_image: rounded(bytesPerImage),
    event_loop_delay_p99_ms: of(({ delayP99Ms }) => delayP99Ms),
  };
  const beside = {
    limit: of(limitOf),
    'inference alone': of(({ inference }) => inference),
    'decoding alone': of(({ decoding }) => decoding),
    'sequential loop': of(({ sequential }) => sequential),
    'transformers.js': of(({ transformers }) => transformers),
    'meter, microseconds an image': rounded(measureMeter()),
  };
  for (const [name, value] of Object.entries({ ...beside, ...figures })) say(`${name.padEnd(30)}${value}`);
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(figures)}\n`);
}

await bench(process.argv.includes('--quick') ? QUICK : FULL);
