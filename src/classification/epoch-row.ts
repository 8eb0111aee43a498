/** What one epoch came to; accuracies in percent. */
export interface EpochRow {
  /** From 1. */
  epoch: number;
  train_loss: number;
  val_loss: number;
  val_accuracy: number;
  /** 0 to 1. */
  val_f1: number;
  val_top5_accuracy: number;
  learning_rate: number;
  epoch_duration_seconds: number;
  extra_metrics: Record<string, unknown>;
}
