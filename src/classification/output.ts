import type { HandlerError } from '../base/errors.ts';
import type { DataReport } from './data-report.ts';
import type { Baselines } from './metrics/baselines.ts';
import type { ClassMetrics } from './metrics/metrics.ts';
import type { StoppedBecause } from './train/epochs.ts';
import type { Plan } from './train/specs.ts';

/** What a run came to. Accuracies are percentages; F1 and calibration errors are 0 to 1. */
export interface RunMetrics {
  best_val_acc: number;
  best_epoch: number;
  /** Seconds of the job, from its start. */
  total_time: number;
  best_val_f1: number;
  best_val_top5_acc: number;
  val_loss: number;
  /** Expected calibration error with the logits as they are, and divided by the temperature. */
  ece: number;
  ece_calibrated: number;
  temperature: number;
  /** What frozen features alone can do. */
  baselines: Baselines | null;
  /** Of the head that all weights began from. */
  head_acc: number | null;
  test: {
    accuracy: number;
    top5_accuracy: number;
    macro_f1: number;
    ece_calibrated: number;
    images: number;
  } | null;
  confusion_matrix: number[][];
  per_class: Record<string, ClassMetrics>;
}

interface ToldMetrics extends Omit<RunMetrics, 'confusion_matrix'> {
  /** Null: of too many classes for an output. */
  confusion_matrix: number[][] | null;
}

/** Some 2 MB of the 20 that the platform takes; of 3,000 classes it would be all of them, and the job a failed one. */
const MOST_CLASSES_TOLD = 1_000;

/** The figures as a job gives them back. */
export function toldMetrics(metrics: RunMetrics): ToldMetrics {
  const { confusion_matrix: matrix } = metrics;
  return { ...metrics, confusion_matrix: matrix.length > MOST_CLASSES_TOLD ? null : matrix };
}

export interface ModelInfo {
  model_name: string;
  /** Where its file came from. */
  source: string;
  image_size: number;
  num_classes: number;
  feature_length: number;
  parameters: { trained: number; all: number };
  provider: string;
  strategy: Plan;
  /** The output that holds the logits. */
  logits_output: string;
  /** Largest difference of a logit between training graph and exported file, on a real batch. */
  export_max_abs_diff: number;
}

/** One file of a run in the bucket. */
export interface Artefact {
  /** As it is stored in rows: `cls-models/{run}/{name}`. */
  url: string;
  bytes: number;
  /** Hex. */
  sha256: string;
}

export interface TrainingStats {
  epochs: number;
  stopped_because: StoppedBecause;
  steps: number;
  train_seconds: number;
  /** Batches that were not ready when a step ended, and how long steps waited for them in all. */
  late_batches: number;
  batches: number;
  waited_seconds: number;
  balance: string;
  data: DataReport;
  artefacts: Record<string, Artefact>;
  resumed_from_epoch: number | null;
}

/** What a job gives back. `error` is there when, and only when, the platform shall call the job FAILED. */
export interface ClassificationOutput {
  status: 'COMPLETED' | 'CANCELLED' | 'FAILED';
  /** Absent for a run that has no row. */
  training_run_id?: string;
  metrics?: ToldMetrics;
  /** `cls-models/{run}/model.onnx`; for a run that has no row the model itself, as a `data:` url. */
  model_url?: string;
  onnx_url?: string | null;
  model_info?: ModelInfo;
  class_names?: readonly string[];
  training_stats?: TrainingStats | { data: DataReport };
  warnings: readonly string[];
  seconds: number;
  error?: string;
  error_code?: string;
}

export interface CompletedParts {
  metrics: RunMetrics;
  model_url: string;
  onnx_url: string | null;
  model_info: ModelInfo;
  class_names: readonly string[];
  training_stats: TrainingStats;
}

export function failedOutput(
  status: 'CANCELLED' | 'FAILED',
  parts: Pick<ClassificationOutput, 'training_run_id' | 'warnings' | 'seconds'> & {
    data: DataReport | undefined;
  },
  error: HandlerError,
): ClassificationOutput {
  const { data, ...rest } = parts;
  return {
    status,
    ...rest,
    ...(data && { training_stats: { data } }),
    ...(status === 'FAILED' && { error: error.message, error_code: error.code }),
  };
}
