/** How the learning rate goes. It is an input of the train step, so that no change of it compiles anything anew. */
export type Schedule =
  /** From 0 up over `warmup` steps in a line, then down to `floor` along half a cosine until `total`. */
  | { kind: 'cosine'; base: number; total: number; warmup?: number; floor?: number }
  /**
   * Up from peak / 25 to the peak and down to peak / 250,000, both along half a cosine (Smith and Topin, 2018; the
   * numbers are those of torch's OneCycleLR).
   */
  | { kind: 'onecycle'; peak: number; total: number; upShare?: number }
  /** Times `factor` after every `every` steps, after a warm-up as above. */
  | { kind: 'step'; base: number; every: number; factor?: number; warmup?: number }
  /** Times `factor` after more than `patience` epochs without a better metric, after a warm-up as above. */
  | {
      kind: 'plateau';
      base: number;
      /** Is a higher metric better, or a lower one? */
      better: 'higher' | 'lower';
      factor?: number;
      patience?: number;
      floor?: number;
      warmup?: number;
    };

/** Where a run is: updates made, and the metric of each epoch that has ended. */
export interface Progress {
  step: number;
  metrics?: readonly number[];
}

const ONE_CYCLE = { upShare: 0.3, startDivisor: 25, endDivisor: 1e4 };
const STEP_FACTOR = 0.1;
const PLATEAU = { factor: 0.1, patience: 2, threshold: 1e-4 };

/** The learning rate of the update that comes after `step` others: a pure function, so a resumed run goes on as it was. */
export function learningRateAt(schedule: Schedule, { step, metrics = [] }: Progress): number {
  if (schedule.kind === 'onecycle') return oneCycle(schedule, step);
  const { base, warmup = 0 } = schedule;
  // The first update already moves: a share of 1 / warmup, not of 0.
  if (step < warmup) return (base * (step + 1)) / warmup;
  if (schedule.kind === 'cosine') {
    return along(base, schedule.floor ?? 0, (step - warmup) / Math.max(1, schedule.total - warmup));
  }
  if (schedule.kind === 'step') {
    return base * (schedule.factor ?? STEP_FACTOR) ** Math.floor((step - warmup) / schedule.every);
  }
  const { factor = PLATEAU.factor, floor = 0 } = schedule;
  return Math.max(Math.min(floor, base), base * factor ** reductions(schedule, metrics));
}

/** From one value to another along half a cosine; stays there beyond the end. */
function along(from: number, to: number, share: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * Math.min(1, Math.max(0, share))))) / 2;
}

function oneCycle(
  { peak, total, upShare = ONE_CYCLE.upShare }: Extract<Schedule, { kind: 'onecycle' }>,
  step: number,
): number {
  const start = peak / ONE_CYCLE.startDivisor;
  const end = start / ONE_CYCLE.endDivisor;
  const top = Math.max(0, upShare * total - 1);
  const last = Math.max(1, total - 1);
  return step <= top
    ? along(start, peak, top === 0 ? 1 : step / top)
    : along(peak, end, (step - top) / (last - top));
}

/** How often the rate was lowered: as torch's ReduceLROnPlateau, better by a ten-thousandth counts as better. */
function reductions(
  { better, patience = PLATEAU.patience }: Extract<Schedule, { kind: 'plateau' }>,
  metrics: readonly number[],
): number {
  const sign = better === 'higher' ? 1 : -1;
  let best = -Infinity;
  let waited = 0;
  let count = 0;
  for (const metric of metrics) {
    const value = sign * metric;
    if (value > best + PLATEAU.threshold * Math.abs(best === -Infinity ? 0 : best)) {
      best = value;
      waited = 0;
    } else if (++waited > patience) {
      count += 1;
      waited = 0;
    }
  }
  return count;
}
