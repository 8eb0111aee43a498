import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

import type { ClassificationOutput } from '../classification/output.ts';
import type { RunNews } from '../classification/report.ts';
import type { LocalCloud } from '../local/cloud.ts';
import { createDatabase, type Database } from '../supabase/database.ts';
import { labelledCutouts, shuffledLabels, type LabelledCutouts } from './cls-dataset.ts';
import { readCommandLine } from './command-line.ts';
import { runJob } from './run-job.ts';
import { serveHandler } from './serve-handler.ts';
import { startShelfCloud } from '../cli/shelf-cloud.ts';

/** `npm run demo:cls`: products of the sample shelf as classes, their cutouts as images; and a control. */
const EPOCHS = 10;
/** A network that knows nothing at first learns in all its weights, and everywhere as fast. */
const CONFIG = {
  model_name: 'demo_conv',
  strategy: 'full',
  layer_decay: 1,
  learning_rate: 0.01,
  epochs: EPOCHS,
  batch_size: 32,
  augmentation: 'light',
  early_stopping: false,
};

const { json, folder } = readCommandLine(
  'npm run demo:cls: trains a classifier on cutouts of the sample shelf, and another one on shuffled labels',
);
const begun = performance.now();
const say = (line: string): void => void process.stderr.write(`${line}\n`);

say('Starting Supabase and an image server on this machine ...');
await using cloud = await startShelfCloud({ folder });
const database = createDatabase({ url: cloud.supabaseUrl, key: cloud.supabaseServiceKey });
const cutouts = labelledCutouts(cloud.shelf);

const runId = randomUUID();
const { output, control } = await trainBoth();
const { metrics, training_stats: stats, model_info: model } = output;
if (metrics === undefined || model === undefined || stats === undefined || !('epochs' in stats)) {
  throw new Error(output.error ?? 'the run gave no metrics');
}
const page = path.join(folder, 'training-report.html');
await writeFile(page, await reportOf(database, runId));

const result = {
  best_val_acc: metrics.best_val_acc,
  baseline_knn_acc: metrics.baselines?.knn_acc ?? null,
  shuffled_labels_acc: control.metrics?.best_val_acc ?? null,
  epochs: stats.epochs,
  export_max_abs_diff: model.export_max_abs_diff,
  seconds: Math.round((performance.now() - begun) / 100) / 10,
  rows: await rowsOf(database, runId),
  strategy: model.strategy,
};
say(`
${cutouts.classNames.length} products, ${stats.data.splits.train} cutouts to train, ${stats.data.splits.val} to validate.
Best accuracy on cutouts never seen in training: ${percent(result.best_val_acc)}; before training, its features with k-NN: ${percent(metrics.baselines?.knn_acc ?? NaN)}.
The same with shuffled labels: ${percent(control.metrics?.best_val_acc ?? NaN)} (one of ${cutouts.classNames.length} by chance is ${percent(100 / cutouts.classNames.length)}).
Look at it: ${page}`);
if (json) process.stdout.write(`${JSON.stringify(result)}\n`);

/** One endpoint, two jobs: the products, and the same pictures with labels that mean nothing. */
async function trainBoth(): Promise<Record<'output' | 'control', ClassificationOutput>> {
  // Broken pictures are in the report, not on the screen.
  await using served = await serveHandler('cls', { LOG_LEVEL: 'error' });
  const to = { cloud, database, baseUrl: served.baseUrl };
  return {
    output: await train({ ...to, id: runId, cutouts, name: 'training' }),
    control: await train({ ...to, id: randomUUID(), cutouts: shuffledLabels(cutouts), name: 'control' }),
  };
}

interface TrainOptions {
  cloud: LocalCloud;
  database: Database;
  baseUrl: string;
  /** The run's. */
  id: string;
  cutouts: LabelledCutouts;
  name: string;
}

/** Submits a run as the API does, its rows first, to the handler's own endpoint, and follows it to its end. */
async function train(options: TrainOptions): Promise<ClassificationOutput> {
  const { cloud: to, database: db, baseUrl, id, cutouts: set, name } = options;
  const datasetId = await insertDataset(db, set, to.imagesUrl);
  await db.insert({
    table: 'cls_training_runs',
    rows: [
      {
        id,
        name,
        dataset_id: datasetId,
        task_type: 'single_label',
        num_classes: set.classNames.length,
        model_type: 'demo',
        model_size: 'small',
        config: CONFIG,
        status: 'queued',
        total_epochs: EPOCHS,
      },
    ],
  });
  const output = await runJob({
    baseUrl,
    name: 'cls',
    input: {
      training_run_id: id,
      dataset_id: datasetId,
      config: CONFIG,
      supabase_url: to.supabaseUrl,
      supabase_key: to.supabaseServiceKey,
    },
    onProgress: followEpochs(name),
  });
  return output as ClassificationOutput;
}

/** A line for each epoch. */
function followEpochs(name: string): (progress: unknown) => void {
  let told = 0;
  return (progress) => {
    const news = progress as RunNews;
    if (news.stage !== 'training' || news.epoch === told) return;
    told = news.epoch;
    say(`${name}: epoch ${news.epoch} of ${news.epochs}, loss ${news.loss.toFixed(2)}`);
  };
}

async function insertDataset(db: Database, set: LabelledCutouts, imagesUrl: string): Promise<string> {
  const datasetId = randomUUID();
  const classIds = set.classNames.map(() => randomUUID());
  const images = set.images.map((image) => ({ ...image, id: randomUUID() }));
  await db.insert({
    table: 'cls_datasets',
    rows: [{ id: datasetId, name: 'shelf', task_type: 'single_label' }],
  });
  await db.insert({
    table: 'cls_classes',
    rows: set.classNames.map((name, i) => ({ id: classIds[i], dataset_id: datasetId, name })),
  });
  await db.insert({
    table: 'cls_images',
    rows: images.map(({ id, file }) => ({
      id,
      filename: path.basename(file),
      image_url: `${imagesUrl}/${file}`,
    })),
  });
  await db.insert({
    table: 'cls_labels',
    rows: images.map(({ id, label }) => ({ dataset_id: datasetId, image_id: id, class_id: classIds[label] })),
  });
  return datasetId;
}

async function rowsOf(db: Database, id: string): Promise<number> {
  let rows = 0;
  const pages = db.pages({
    table: 'training_metrics_history',
    columns: 'id',
    schema: z.object({ id: z.string() }),
    filters: [{ column: 'training_run_id', op: 'eq', value: id }],
  });
  for await (const page of pages) rows += page.length;
  return rows;
}

/** The run's own report, as it lies in the bucket. */
async function reportOf(db: Database, id: string): Promise<string> {
  const [url] = await db.signUrls({
    bucket: 'cls-models',
    paths: [`${id}/report.html`],
    expiresInSeconds: 60,
  });
  if (typeof url !== 'string') throw url ?? new Error('the report is not in the bucket');
  return (await fetch(url)).text();
}

function percent(value: number): string {
  return `${value.toFixed(1)}%`;
}
