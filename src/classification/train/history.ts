import type { TrainingConfig } from '../input-config.ts';
import type { EpochRow } from '../epoch-row.ts';

type StopMetric = TrainingConfig['early_stopping_metric'];

/** The metric that decides, higher always better. */
export function scoreOf(row: EpochRow, metric: StopMetric): number {
  if (metric === 'val_loss') return -row.val_loss;
  return metric === 'val_f1' ? row.val_f1 : row.val_accuracy;
}

/** The best epoch: of those that are equally good, the one with the lowest loss; undefined where there is none. */
export function bestOf(rows: readonly EpochRow[], metric: StopMetric): EpochRow | undefined {
  let best: EpochRow | undefined;
  for (const row of rows) {
    const ahead = best === undefined ? 1 : scoreOf(row, metric) - scoreOf(best, metric);
    if (best === undefined || ahead > 0 || (ahead === 0 && row.val_loss < best.val_loss)) best = row;
  }
  return best;
}

/** Has it been so many epochs since the metric was better than ever before? */
export function isStuck(
  rows: readonly EpochRow[],
  {
    early_stopping: stops,
    early_stopping_metric: metric,
    patience,
  }: Pick<TrainingConfig, 'early_stopping' | 'early_stopping_metric' | 'patience'>,
): boolean {
  const scores = rows.map((row) => scoreOf(row, metric));
  const first = scores.indexOf(Math.max(...scores));
  return stops && rows.length > 0 && rows.length - 1 - first >= patience;
}
