import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { findBackbone, RENAMED, type Backbone } from '../model/backbones.ts';
import { createModelHub, hubOptions } from '../model/hub/hub.ts';
import type { Database } from '../supabase/database.ts';
import { uploadArtefact } from './artefacts.ts';
import type { ClassificationInput } from './input.ts';
import type { PreparedData } from './prepare-data.ts';
import type { Report } from './report.ts';
import { asBestEpoch } from './run-row.ts';
import type { Dataset } from './sample.ts';
import type { ClassificationTools } from './tools.ts';
import { CHECKPOINT_FILE, type Resumed } from './train/checkpoints.ts';
import { bestOf } from './train/history.ts';
import type { TrainedRun, TrainNews } from './train/run-main.ts';
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
  log.info(`[Model] ${backbone.name}: pictures of ${backbone.side} x ${backbone.side}`, {
    where: backbone.where,
  });
  return backbone;
}

export interface TrainJobOptions {
  input: ClassificationInput;
  tools: ClassificationTools;
  database: Database;
  dataset: Dataset;
  backbone: Backbone;
  data: PreparedData;
  folder: string;
  resumed: Resumed | undefined;
  report: Report;
  log: Log;
}

/** Trains, and tells of it. */
export async function trainJob(options: TrainJobOptions): Promise<TrainedRun> {
  const { input, tools, dataset, backbone, data, folder, resumed, report, log } = options;
  const {
    ONNX_PROVIDERS: providers,
    REQUIRE_GPU: requireGpu = false,
    INFERENCE_THREADS: threads,
  } = tools.settings;
  await report.begin(resumed?.state.rows ?? []);
  return trainClassifier({
    config: input.config,
    backbone,
    splits: data.splits,
    classes: dataset.classNames.length,
    balance: data.balance,
    loader: data.loader,
    folder,
    resumed,
    checkpointIntervalMs: tools.checkpointIntervalMs,
    machine: { providers, requireGpu, ...(threads && { threads }) },
    news: newsOf(options),
    log,
    signal: report.signal,
  });
}

/** A checkpoint goes to the bucket this often: what a run that is started elsewhere loses at most. */
const UPLOAD_INTERVAL_MS = 10 * 60_000;

function newsOf({ input, database, resumed, report, log }: TrainJobOptions): TrainNews {
  const rows = [...(resumed?.state.rows ?? [])];
  const { training_run_id: runId, config } = input;
  let uploadedAt = performance.now();
  let uploading = Promise.resolve();

  const upload = async (file: string, signal: AbortSignal): Promise<void> => {
    await uploadArtefact({ database, runId, name: CHECKPOINT_FILE, file, signal });
    log.info('[Checkpoint] stored in the bucket');
  };
  const failed = (error: unknown): void => {
    log.warn('the checkpoint could not be stored in the bucket', { error: messageOf(error) });
  };
  const best = () => bestOf(rows, config.early_stopping_metric);
  return {
    onFeatures: ({ images, total }) => {
      report.progress({ stage: 'features', done: images, total });
    },
    onGroundwork: () => undefined,
    onStep: ({ learningRate, secondsLeft, ...news }) => {
      report.progress({
        stage: 'training',
        ...news,
        learning_rate: learningRate,
        seconds_left: Math.round(secondsLeft),
        best_val_acc: best()?.val_accuracy ?? null,
      });
    },
    onEpoch: (row) => {
      rows.push(row);
      report.epoch(row);
      const found = best();
      if (found !== undefined) report.best(asBestEpoch(found));
    },
    onCheckpoint: (path) => {
      if (performance.now() - uploadedAt < UPLOAD_INTERVAL_MS) return;
      uploadedAt = performance.now();
      uploading = uploading.then(() => upload(path, report.signal)).catch(failed);
    },
    async onShutdown(path) {
      await upload(path, report.endSignal).catch(failed);
    },
  };
}
