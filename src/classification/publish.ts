import { stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { messageOf } from '../base/errors.ts';
import { jpegDataUrl } from '../image/encode.ts';
import type { Backbone } from '../model/backbones.ts';
import type { ExportReport } from '../training/trainer.ts';
import type { Database } from '../supabase/database.ts';
import { ensureModelBucket, uploadArtefact } from './artefacts.ts';
import { checkBatch, evaluateRun, type Evaluation } from './evaluate.ts';
import type { ClassificationInput } from './input.ts';
import type { ClassMetrics } from './metrics/metrics.ts';
import type { Artefact, CompletedParts, ModelInfo, RunMetrics, TrainingStats } from './output.ts';
import { reportPage, type PictureOfMistake } from './page/report-page.ts';
import type { PreparedData } from './prepare-data.ts';
import type { Report } from './report.ts';
import type { Dataset } from './sample.ts';
import { CHECKPOINT_FILE } from './train/checkpoints.ts';
import { bestOf } from './train/history.ts';
import type { TrainedRun } from './train/run-main.ts';

export interface PublishOptions {
  input: ClassificationInput;
  database: Database;
  dataset: Dataset;
  backbone: Backbone;
  data: PreparedData;
  run: TrainedRun;
  /** Where the files are written before they are uploaded. */
  folder: string;
  report: Report;
  resumedFromEpoch: number | null;
}

const REPORT_FILE = 'report.html';
const METRICS_FILE = 'metrics.json';
const PICTURE_SIDE = 260;

/**
 * Measures the best weights, writes the model, and puts everything into the bucket. Without the model there is no
 * result; what else cannot be stored is a warning.
 * @throws StoreError for the model; ModelError `export_differs`
 */
export async function publishRun(options: PublishOptions): Promise<CompletedParts> {
  const { input, dataset, backbone, data, run, folder, report } = options;
  const { classNames } = dataset;
  report.progress({ stage: 'evaluating' });
  const evaluation = await evaluateRun({ run, splits: data.splits, classes: classNames.length });
  report.progress({ stage: 'exporting' });
  const exported = await run.trainer.exportModel({
    folder: join(folder, 'model'),
    weights: 'best',
    classNames,
    temperature: evaluation.calibration.temperature,
    metadata: { training_run_id: input.training_run_id, model_name: backbone.name },
    check: await checkBatch(data.loader, data.splits.val),
  });
  const metrics = metricsOf(options, evaluation);
  const model = modelInfo(options, exported);
  const stats = statsOf(options);
  const page = join(folder, REPORT_FILE);
  await writeFile(
    page,
    reportPage({
      runId: input.training_run_id,
      classNames,
      metrics,
      model,
      stats,
      rows: run.state.rows,
      mistakes: await picturesOf(evaluation, options),
      warnings: data.report.warnings,
    }),
  );
  const numbers = join(folder, METRICS_FILE);
  await writeFile(
    numbers,
    JSON.stringify({ metrics, model_info: model, epochs: run.state.rows, data: data.report }),
  );
  report.progress({ stage: 'uploading' });
  const artefacts = await uploadAll(options, exported, [page, numbers]);
  const url = artefacts[basename(exported.files[0] ?? '')]?.url ?? '';
  return {
    metrics,
    model_url: url,
    onnx_url: input.config.export_onnx ? url : null,
    model_info: model,
    class_names: classNames,
    training_stats: { ...stats, artefacts },
  };
}

async function uploadAll(
  { input, database, run, report }: PublishOptions,
  exported: ExportReport,
  others: readonly string[],
): Promise<Record<string, Artefact>> {
  const { training_run_id: runId } = input;
  const { signal } = report;
  const artefacts: Record<string, Artefact> = {};
  const upload = async (file: string, name = basename(file)): Promise<void> => {
    artefacts[name] = await uploadArtefact({ database, runId, name, file, signal });
  };
  await ensureModelBucket(database, signal);
  for (const file of exported.files) await upload(file);
  for (const file of others) {
    await upload(file).catch((error: unknown) => {
      signal.throwIfAborted();
      report.warn(`${basename(file)} could not be stored: ${messageOf(error)}`);
    });
  }
  await upload(run.checkpoint, CHECKPOINT_FILE).catch(async (error: unknown) => {
    signal.throwIfAborted();
    const megabytes = Math.round((await stat(run.checkpoint)).size / 1e6);
    report.warn(`the checkpoint (${megabytes} MB) could not be stored: ${messageOf(error)}`);
  });
  return artefacts;
}

function metricsOf({ input, dataset, run, report }: PublishOptions, evaluation: Evaluation): RunMetrics {
  const { val, calibration, test } = evaluation;
  const best = bestOf(run.state.rows, input.config.early_stopping_metric);
  return {
    best_val_acc: val.accuracy,
    best_epoch: best?.epoch ?? 0,
    total_time: report.seconds,
    best_val_f1: val.macroF1,
    best_val_top5_acc: val.top5Accuracy,
    val_loss: val.loss,
    ece: calibration.before,
    ece_calibrated: calibration.after,
    temperature: calibration.temperature,
    baselines: run.groundwork.baselines,
    head_acc: run.groundwork.headAccuracy,
    test: test && {
      accuracy: test.accuracy,
      top5_accuracy: test.top5Accuracy,
      macro_f1: test.macroF1,
      ece_calibrated: test.calibration_error,
      images: test.images,
    },
    confusion_matrix: val.confusion,
    per_class: byName(dataset.classNames, val.perClass),
  };
}

function byName(names: readonly string[], classes: readonly ClassMetrics[]): Record<string, ClassMetrics> {
  return Object.fromEntries(classes.map((metrics, label) => [names[label] ?? String(label), metrics]));
}

function modelInfo({ dataset, backbone, run }: PublishOptions, exported: ExportReport): ModelInfo {
  const { trainer, groundwork } = run;
  return {
    model_name: backbone.name,
    source: backbone.where,
    image_size: backbone.side,
    num_classes: dataset.classNames.length,
    feature_length: trainer.featureLength,
    parameters: trainer.parameters,
    provider: trainer.provider,
    strategy: groundwork.plan,
    logits_output: exported.output,
    export_max_abs_diff: exported.maxAbsDifference,
  };
}

function statsOf({ data, run, resumedFromEpoch }: PublishOptions): Omit<TrainingStats, 'artefacts'> {
  const { late, batches, waitedMs } = data.loader.statistics;
  return {
    epochs: run.state.rows.length,
    stopped_because: run.stoppedBecause,
    steps: run.state.step,
    train_seconds: run.state.seconds,
    late_batches: late,
    batches,
    waited_seconds: waitedMs / 1_000,
    balance: data.balance.told,
    data: data.report,
    resumed_from_epoch: resumedFromEpoch,
  };
}

async function picturesOf(
  { worst }: Evaluation,
  { dataset, data }: PublishOptions,
): Promise<PictureOfMistake[]> {
  const name = (label: number): string => dataset.classNames[label] ?? String(label);
  const pictures = await Promise.all(
    worst.map(async ({ sample, label, predicted, confidence, trueConfidence }) => {
      const frame = data.pictures.frameOf(sample);
      if (frame === undefined) return [];
      const picture = await jpegDataUrl(await data.frames.read(frame), PICTURE_SIDE);
      return [
        {
          id: sample.id,
          picture,
          label: name(label),
          predicted: name(predicted),
          confidence,
          trueConfidence,
        },
      ];
    }),
  );
  return pictures.flat();
}
