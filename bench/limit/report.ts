import { availableParallelism } from 'node:os';

import type { Figures } from './contenders.ts';
import { measureMeter } from './meter.ts';

export const CONTENDERS = ['inference', 'decoding', 'pipeline', 'two', 'transformers', 'sequential'] as const;

/** One round: all measured within minutes of each other. */
export type Round = Record<(typeof CONTENDERS)[number], Figures>;

export type Rate = (figures: Figures) => number;

/** By the clock on the wall. */
export const byClock: Rate = ({ images, seconds }) => images / seconds;
/** On what other programs left of the cores: what the clock would say on a machine of one's own, or nearly. */
const byShare: Rate = ({ images, seconds, cpu }) => images / (seconds * cpu.freeShare);

export const say = (text: string): void => void process.stderr.write(`${text}\n`);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = NaN, high = NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

/** What the cores could do if each image took its decoding and its inference and nothing else. */
export const limitOf = ({ inference, decoding }: Round, rate: Rate): number =>
  1 / (1 / rate(decoding) + 1 / rate(inference));

/** With less of the cores to itself a run says little by the clock. */
const QUIET_SHARE = 0.95;

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;

interface Measured {
  rounds: readonly Round[];
  /** The model's images a second on one thread, at the best of the batches. */
  oneThread: number;
  bytesPerImage: number;
}

/** The table on standard error, and the figures for `--json`. */
export function report({ rounds, oneThread, bytesPerImage }: Measured): Record<string, number> {
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
  return figures;
}

function columns(...values: (string | number | undefined)[]): string {
  return values.map((value) => String(value ?? '').padStart(14)).join('');
}
