import { stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { messageOf, toHandlerError } from '../base/errors.ts';
import { jpegDataUrl } from '../image/encode.ts';
import type { Backbone } from '../model/backbones.ts';
import type { ExportReport } from '../training/trainer.ts';
import { MODEL_FILE } from './artefacts.ts';
import type { DataReport } from './data-report.ts';
import { checkBatch, evaluateRun, type Evaluation } from './evaluate.ts';
import type { ClassificationInput } from './input.ts';
import type { ClassMetrics } from './metrics/metrics.ts';
import type { Artefact, CompletedParts, ModelInfo, RunMetrics, TrainingStats } from './output.ts';
import { reportPage, type PictureOfMistake } from './page/report-page.ts';
import type { RunPlace } from './place.ts';
import type { PreparedData } from './prepare-data.ts';
import type { Report } from './report.ts';
import type { Dataset } from './sample.ts';
import { bestOf } from './train/history.ts';
import type { TrainedRun } from './train/run-main.ts';

export interface PublishOptions {
  input: ClassificationInput;
  place: RunPlace;
  dataset: Dataset;
  backbone: Backbone;
  data: PreparedData;
  run: TrainedRun;
  /** Where the files are written before they are uploaded. */
  folder: string;
  report: Report;
}

const REPORT_FILE = 'report.html';
const METRICS_FILE = 'metrics.json';
const PICTURE_SIDE = 260;

/**
 * Measures the best weights, writes the model, and puts everything into the bucket. Without the model there is no
 * result; what else cannot be stored is a warning. Where the platform stops the worker meanwhile, the checkpoint is
 * stored, so that the next attempt need not train again.
 * @throws StoreError for the model; ModelError `export_differs`
 */
export async function publishRun(options: PublishOptions): Promise<CompletedParts> {
  try {
    return await publish(options);
  } catch (error) {
    await saveCheckpoint(options);
    throw error;
  }
}

async function saveCheckpoint({ place, run: { checkpoint }, report }: PublishOptions): Promise<void> {
  const { signal, endSignal } = report;
  const isShutdown = signal.aborted && toHandlerError(signal.reason).code === 'shutdown';
  if (checkpoint === null || !isShutdown) return;
  await place.artefacts.put(basename(checkpoint), checkpoint, endSignal).catch((error: unknown) => {
    report.warn(`the checkpoint could not be stored: ${messageOf(error)}`);
  });
}

async function publish(options: PublishOptions): Promise<CompletedParts> {
  const { input, place, dataset, backbone, data, run, folder, report } = options;
  const { runId } = place;
  const { classNames } = dataset;
  report.progress({ stage: 'evaluating' });
  const evaluation = await evaluateRun({ run, splits: data.splits, classes: classNames.length });
  const found = data.reportNow();
  report.data(found);
  report.progress({ stage: 'exporting' });
  const exported = await run.trainer.exportModel({
    folder: join(folder, 'model'),
    weights: 'best',
    classNames,
    temperature: evaluation.calibration.temperature,
    metadata: { training_run_id: runId, model_name: backbone.name },
    check: await checkBatch(data.loader, data.splits.val),
    signal: report.signal,
  });
  const metrics = metricsOf(options, evaluation);
  const model = modelInfo(options, exported);
  const stats = statsOf(options, found);
  const page = join(folder, REPORT_FILE);
  await writeFile(
    page,
    reportPage({
      runId,
      classNames,
      metrics,
      model,
      stats,
      rows: run.state.rows,
      mistakes: await picturesOf(evaluation, options),
      warnings: found.warnings,
    }),
  );
  const numbers = join(folder, METRICS_FILE);
  await writeFile(
    numbers,
    JSON.stringify({ metrics, model_info: model, epochs: run.state.rows, data: found }),
  );
  report.progress({ stage: 'uploading' });
  const artefacts = await uploadAll(options, exported, [page, numbers]);
  const url = artefacts[MODEL_FILE]?.url ?? '';
  return {
    metrics,
    model_url: url,
    // Once in the output is enough of a whole model.
    onnx_url: input.config.export_onnx && place.hasRow ? url : null,
    model_info: model,
    class_names: classNames,
    training_stats: { ...stats, artefacts: place.hasRow ? artefacts : {} },
  };
}

async function uploadAll(
  { place, run, report }: PublishOptions,
  exported: ExportReport,
  others: readonly string[],
): Promise<Record<string, Artefact>> {
  const { signal } = report;
  const artefacts: Record<string, Artefact> = {};
  const upload = async (file: string): Promise<void> => {
    const name = basename(file);
    const artefact = await place.artefacts.put(name, file, signal);
    if (artefact !== undefined) artefacts[name] = artefact;
  };
  for (const file of exported.files) await upload(file);
  for (const file of others) {
    await upload(file).catch((error: unknown) => {
      signal.throwIfAborted();
      report.warn(`${basename(file)} could not be stored: ${messageOf(error)}`);
    });
  }
  const { checkpoint } = run;
  if (checkpoint === null) {
    report.warn('there is no checkpoint to store: it could not be written');
    return artefacts;
  }
  await upload(checkpoint).catch(async (error: unknown) => {
    signal.throwIfAborted();
    const megabytes = Math.round((await stat(checkpoint)).size / 1e6);
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

/** Two classes of one name carry their position. */
function byName(names: readonly string[], classes: readonly ClassMetrics[]): Record<string, ClassMetrics> {
  return Object.fromEntries(
    classes.map((metrics, label) => {
      const name = names[label] ?? '';
      const isOnly = names.indexOf(name) === names.lastIndexOf(name);
      return [isOnly ? name : `${name} (${label})`, metrics];
    }),
  );
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

function statsOf({ data, run }: PublishOptions, report: DataReport): Omit<TrainingStats, 'artefacts'> {
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
    data: report,
    resumed_from_epoch: run.resumedFromEpoch,
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
