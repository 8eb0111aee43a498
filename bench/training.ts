/**
 * `npm run bench:training [-- --json] [--rounds 7]`: the time of a training step against a forward pass alone (the
 * original file, all optimisations, same batch and threads), peak memory, time waiting for data. Each contender is a
 * process; they take turns, so that what else the machine does falls on all of them.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import type { Contender, ModelName, Timed } from './training/child.ts';

const CHILD = fileURLToPath(new URL('./training/child.ts', import.meta.url));
const WARM_UP_RUNS = 2;
const DEFAULT_ROUNDS = 7;

async function start(model: ModelName, contender: Contender): Promise<ChildProcess> {
  const child = fork(CHILD, [model, contender], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await once(child, 'message');
  return child;
}

async function runOnce(child: ChildProcess): Promise<Timed> {
  const answered = once(child, 'message');
  child.send('run');
  const [timed] = (await answered) as [Timed];
  return timed;
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const rounded = (value: number, digits = 2): number => Number(value.toFixed(digits));

interface Measured {
  ms: number;
  vsForward: number;
  cpuVsForward: number;
  peakMb: number;
}

/** The contender's runs and a forward pass in turn: ratios of neighbours, then their median. */
async function against(
  forward: ChildProcess,
  model: ModelName,
  contender: Contender,
  rounds: number,
): Promise<Measured> {
  const child = await start(model, contender);
  const pairs: { step: Timed; pass: Timed }[] = [];
  for (let i = 0; i < WARM_UP_RUNS + rounds; i += 1) {
    const pair = { pass: await runOnce(forward), step: await runOnce(child) };
    if (i >= WARM_UP_RUNS) pairs.push(pair);
  }
  await stop(child);
  return {
    ms: median(pairs.map(({ step }) => step.ms)),
    vsForward: median(pairs.map(({ step, pass }) => step.ms / pass.ms)),
    cpuVsForward: median(pairs.map(({ step, pass }) => step.cpuMs / pass.cpuMs)),
    peakMb: Math.max(...pairs.map(({ step }) => step.peakMb)),
  };
}

async function compare(model: ModelName, contenders: readonly Contender[], rounds: number) {
  const forward = await start(model, 'forward');
  const report: Record<string, number> = {};
  for (const contender of contenders) {
    const measured = await against(forward, model, contender, rounds);
    report[`${contender}_vs_forward`] = rounded(measured.vsForward);
    report[`${contender}_vs_forward_cpu`] = rounded(measured.cpuVsForward);
    report[`${contender}_ms`] = rounded(measured.ms, 0);
    report[`${contender}_peak_mb`] = rounded(measured.peakMb, 0);
  }
  const passes = [];
  for (let i = 0; i < rounds; i += 1) passes.push(await runOnce(forward));
  await stop(forward);
  report.forward_ms = rounded(median(passes.map(({ ms }) => ms)), 0);
  report.peak_mb = Math.max(...contenders.map((contender) => report[`${contender}_peak_mb`] ?? 0));
  return report;
}

async function headStep(rounds: number): Promise<number> {
  const child = await start('head', 'head');
  const times: number[] = [];
  for (let i = 0; i < WARM_UP_RUNS + 30 * rounds; i += 1) times.push((await runOnce(child)).ms);
  await stop(child);
  return median(times.slice(WARM_UP_RUNS));
}

async function shareWaiting(): Promise<number> {
  const child = await start('vit_s', 'waiting');
  await runOnce(child);
  const { waiting = NaN } = await runOnce(child);
  await stop(child);
  return waiting;
}

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, rounds: { type: 'string' } },
});
const rounds = Number(values.rounds ?? DEFAULT_ROUNDS);
const report = {
  head_step_ms: rounded(await headStep(rounds)),
  vit_s: await compare('vit_s', ['lora', 'full'], rounds),
  // It has no linear layers for low-rank updates: the last nine layers are one stage.
  resnet50: await compare('resnet50', ['last_k', 'full'], rounds),
  waiting_for_data: rounded(await shareWaiting(), 4),
};
process.stdout.write(`${JSON.stringify(report, null, values.json ? 0 : 2)}\n`);
