import type { TrainingConfig } from '../input-config.ts';
import type { EpochRow } from '../epoch-rows.ts';

type StopMetric = TrainingConfig['early_stopping_metric'];

/** The metric that decides, higher always better. */
export function scoreOf(row: EpochRow, metric: StopMetric): number {
  if (metric === 'val_loss') return -row.val_loss;
  return metric === 'val_f1' ? row.val_f1 : row.val_accuracy;
}

/** The first of the best epochs; undefined where there is none. */
export function bestOf(rows: readonly EpochRow[], metric: StopMetric): EpochRow | undefined {
  let best: EpochRow | undefined;
  for (const row of rows) {
    if (best === undefined || scoreOf(row, metric) > scoreOf(best, metric)) best = row;
  }
  return best;
}

/** Has it been so many epochs since the best one? */
export function isStuck(
  rows: readonly EpochRow[],
  {
    early_stopping,
    early_stopping_metric,
    patience,
  }: Pick<TrainingConfig, 'early_stopping' | 'early_stopping_metric' | 'patience'>,
): boolean {
  const best = bestOf(rows, early_stopping_metric);
  const last = rows.at(-1);
  return early_stopping && best !== undefined && last !== undefined && last.epoch - best.epoch >= patience;
}
