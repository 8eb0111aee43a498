import type { Log } from '../base/log.ts';
import { findBackbone, RENAMED, type Backbone } from '../model/backbones.ts';
import { createModelHub, hubOptions } from '../model/hub/hub.ts';
import { createTrainer } from '../training/create-trainer.ts';
import { checkpointUploads, type CheckpointUploads } from './checkpoint-uploads.ts';
import { dataKeyOf } from './data-key.ts';
import { DEFAULT_IMAGE_SIDE, type TrainingConfig } from './input-config.ts';
import type { ClassificationInput } from './input.ts';
import type { RunPlace } from './place.ts';
import type { PreparedData } from './prepare-data.ts';
import type { Report } from './report.ts';
import type { Found } from './resume.ts';
import { asBestEpoch } from './run-row.ts';
import type { Dataset } from './sample.ts';
import type { ClassificationTools } from './tools.ts';
import { bestOf } from './train/history.ts';
import type { TrainedRun, TrainNews, TrainOptions } from './train/run-main.ts';
import { takeUp } from './train/take-up.ts';
import { trainClassifier } from './train/train.ts';

export interface BackboneOptions {
  input: Pick<ClassificationInput, 'config' | 'hf_token'>;
  tools: ClassificationTools;
  log: Log;
  warn: (message: string) => void;
  signal: AbortSignal;
}

/** The model that a job starts from. @throws ModelError where there is no such model */
export async function backboneOf({ input, tools, log, warn, signal }: BackboneOptions): Promise<Backbone> {
  const { settings, http } = tools;
  const { model_name: name, image_size: side } = input.config;
  const meant = RENAMED[name];
  if (meant !== undefined) warn(`${name} has no trained weights: ${meant} is used`);
  const token = input.hf_token ?? settings.HF_TOKEN;
  const backbone = await findBackbone(name, {
    side,
    ...(settings.MODEL_DIR && { modelDir: settings.MODEL_DIR }),
    hub: createModelHub({ ...hubOptions(settings), http, ...(token && { token }) }),
    signal,
    log,
  });
  // The default is what every job carries: nobody asked for it.
  if (side !== backbone.side && side !== DEFAULT_IMAGE_SIDE)
    warn(`image_size ${side} changes nothing: the file of ${name} takes pictures of ${backbone.side} pixels`);
  log.info(`[Model] ${backbone.name}: pictures of ${backbone.side} x ${backbone.side}`, {
    where: backbone.where,
  });
  return backbone;
}

export interface TrainJobOptions {
  input: ClassificationInput;
  tools: ClassificationTools;
  place: RunPlace;
  dataset: Dataset;
  backbone: Backbone;
  data: PreparedData;
  folder: string;
  /** What the run may go on from. */
  checkpoints: AsyncIterable<Found>;
  report: Report;
  log: Log;
}

/** Trains, and tells of it. */
export async function trainJob(options: TrainJobOptions): Promise<TrainedRun> {
  const { input, tools, place, dataset, backbone, data, folder, report, log } = options;
  const { config } = input;
  const {
    ONNX_PROVIDERS: providers,
    REQUIRE_GPU: requireGpu = false,
    INFERENCE_THREADS: threads,
  } = tools.settings;
  const { signal } = report;
  await using uploads = checkpointUploads({
    artefacts: place.artefacts,
    intervalMs: tools.uploadIntervalMs,
    log,
    signal,
  });
  const training: TrainOptions = {
    config,
    backbone,
    splits: data.splits,
    data: { classNames: dataset.classNames, key: dataKeyOf(dataset, config) },
    balance: data.balance,
    loader: data.loader,
    createTrainer: tools.createTrainer ?? createTrainer,
    folder,
    resumed: undefined,
    checkpointIntervalMs: tools.checkpointIntervalMs,
    machine: { providers, requireGpu, ...(threads && { threads }) },
    news: newsOf(config, report, uploads),
    log,
    signal,
  };
  const resumed = await takeUp(options.checkpoints, training, report.warn);
  const rows = resumed?.state.rows ?? [];
  await report.begin({ epochs: resumed?.state.sampler.epoch ?? 0, rows });
  const best = bestOf(rows, config.early_stopping_metric);
  if (best !== undefined) report.best(asBestEpoch(best));
  return await trainClassifier({ ...training, resumed });
}

function newsOf(config: TrainingConfig, report: Report, uploads: CheckpointUploads): TrainNews {
  return {
    onFeatures: ({ images, total }) => {
      report.progress({ stage: 'features', done: images, total });
    },
    onBaselines: ({ knn_acc, ridge_acc }) => {
      report.progress({ stage: 'baselines', knn_acc, ridge_acc });
    },
    onStep: ({ learningRate, secondsLeft, ...news }, rows) => {
      report.progress({
        stage: 'training',
        ...news,
        learning_rate: learningRate,
        seconds_left: Math.round(secondsLeft),
        best_val_acc: bestOf(rows, config.early_stopping_metric)?.val_accuracy ?? null,
      });
    },
    onEpoch: (row, rows) => {
      report.epoch(row);
      const best = bestOf(rows, config.early_stopping_metric);
      if (best !== undefined) report.best(asBestEpoch(best));
    },
    onCheckpoint: uploads.offer,
    onCutOff: (path) => uploads.last(path, report.endSignal),
  };
}
