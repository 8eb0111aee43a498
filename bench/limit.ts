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
/** With less of the cores to itself a run says little by the clock. */
const QUIET_SHARE = 0.95;
const BENCH_FOLDER = fileURLToPath(new URL('.', import.meta.url));
const TRANSFORMERS = join(BENCH_FOLDER, 'node_modules', '@huggingface', 'transformers');

const CONTENDERS = ['inference', 'decoding', 'pipeline', 'two', 'transformers', 'sequential'] as const;

/** One round: all measured within minutes of each other. */
type Round = Record<(typeof CONTENDERS)[number], Figures>;

type Rate = (figures: Figures) => number;

/** By the clock on the wall. */
const byClock: Rate = ({ images, seconds }) => images / seconds;
/** On what other programs left of the cores: what the clock would say on a machine of one's own, or nearly. */
const byShare: Rate = ({ images, seconds, cpu }) => images / (seconds * cpu.freeShare);

const say = (text: string): void => void process.stderr.write(`${text}\n`);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = NaN, high = NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

/** What the cores could do if each image took its decoding and its inference and nothing else. */
const limitOf = ({ inference, decoding }: Round, rate: Rate): number =>
  1 / (1 / rate(decoding) + 1 / rate(inference));

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
  report({ rounds, oneThread, bytesPerImage: memory.bytesPerImage });
}

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;

interface Measured {
  rounds: readonly Round[];
  /** The model's images a second on one thread, at the best of the batches. */
  oneThread: number;
  bytesPerImage: number;
}

function report({ rounds, oneThread, bytesPerImage }: Measured): void {
  const of = (figure: (round: Round) => number): number => rounded(median(rounds.map(figure)));
  const ratios = (rate: Rate): Record<string, number> => ({
    images_per_second: of(({ pipeline }) => rate(pipeline)),
    vs_limit: of((round) => rate(round.pipeline) / limitOf(round, rate)),
    vs_transformers_js: of(({ pipeline, transformers }) => rate(pipeline) / rate(transformers)),
    vs_sequential: of(({ pipeline, sequential }) => rate(pipeline) / rate(sequential)),
    two_collections_vs_one: of(({ two, pipeline }) => rate(two) / rate(pipeline)),
  });
  say(`\n${'images a second, median'.padEnd(28)}${columns('clock', 'free share', 'CPU ms/image')}`);
  for (const name of CONTENDERS) {
    const cpu = of((round) => (round[name].cpu.seconds * 1_000) / round[name].images);
    const [clock, share] = [byClock, byShare].map((rate) => of((round) => rate(round[name])));
    say(name.padEnd(28) + columns(clock, share, cpu));
  }
  const [clock, share] = [byClock, byShare].map((rate) => of((round) => limitOf(round, rate)));
  say('limit'.padEnd(28) + columns(clock, share));
  // Threads of one run wait for each other, most of all where others take a core: a run on each core does not.
  const apart = 1 / (1 / of((round) => byShare(round.decoding)) + 1 / (oneThread * availableParallelism()));
  say('limit, a run on each core'.padEnd(28) + columns('', rounded(apart)));
  const [byTheClock, onFreeShare] = [ratios(byClock), ratios(byShare)];
  for (const [name, value] of Object.entries(byTheClock))
    say(name.padEnd(28) + columns(value, onFreeShare[name]));
  const againstApart = of((round) => byShare(round.pipeline)) / apart;
  say('vs a run on each core'.padEnd(28) + columns('', rounded(againstApart)));
  const figures = {
    ...byTheClock,
    bytes_per_image: rounded(bytesPerImage),
    event_loop_delay_p99_ms: of(({ pipeline, two }) =>
      Math.max(pipeline.delayP99Ms ?? NaN, two.delayP99Ms ?? NaN),
    ),
  };
  say(`${'bytes_per_image'.padEnd(28)}${columns(figures.bytes_per_image)}`);
  say(`${'event_loop_delay_p99_ms'.padEnd(28)}${columns(figures.event_loop_delay_p99_ms)}`);
  say(`${'meter, us an image'.padEnd(28)}${columns(rounded(measureMeter()))}`);
  const free = Math.min(...rounds.flatMap((round) => CONTENDERS.map((name) => round[name].cpu.freeShare)));
  if (free < QUIET_SHARE) {
    const others = Math.round((1 - free) * 100);
    say(`Other programs took up to ${others} % of the cores meanwhile: compare the column of the free share`);
  }
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(figures)}\n`);
}

function columns(...values: (string | number | undefined)[]): string {
  return values.map((value) => String(value ?? '').padStart(14)).join('');
}

await bench(process.argv.includes('--quick') ? QUICK : FULL);
