import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

import { createClassificationHandler } from '../../handlers/cls.ts';
import { createLog } from '../base/log.ts';
import { readSettings } from '../base/settings.ts';
import type { ClassificationOutput } from '../classification/output.ts';
import type { RunNews } from '../classification/report.ts';
import { createClassificationTools, type ClassificationTools } from '../classification/tools.ts';
import { startLocalCloud, type LocalCloud } from '../local/cloud.ts';
import { createDatabase, type Database } from '../supabase/database.ts';
import { invoke } from '../worker/invoke.ts';
import { labelledCutouts, shuffledLabels, type LabelledCutouts } from './cls-dataset.ts';
import { readCommandLine } from './command-line.ts';
import { createProgressBar } from './progress-bar.ts';

/** `npm run demo:cls`: products of the sample shelf as classes, their cutouts as images; and a control. */
const EPOCHS = 30;
const CONFIG = { model_name: 'demo', epochs: EPOCHS, batch_size: 32, augmentation: 'medium', patience: 10 };

const { json, folder } = readCommandLine(
  'npm run demo:cls: trains a classifier on cutouts of the sample shelf, and another one on shuffled labels',
);
const begun = performance.now();
const say = (line: string): void => void process.stderr.write(`${line}\n`);

say('Starting Supabase and an image server on this machine ...');
const drawing = createProgressBar('drawing the sample shelf');
await using cloud = await startLocalCloud({
  folder,
  onProgress: ({ done, total }) => {
    drawing.update(done, total);
    if (done === total) drawing.end();
  },
});
const database = createDatabase({ url: cloud.supabaseUrl, key: cloud.supabaseServiceKey });
const tools = createClassificationTools({ ...readSettings(), ALLOW_PRIVATE_HOSTS: true });
const cutouts = labelledCutouts(cloud.shelf);

const output = await train({ cloud, database, tools, cutouts, name: 'training' });
const control = await train({ cloud, database, tools, cutouts: shuffledLabels(cutouts), name: 'control' });
await tools.close();
const { metrics, training_stats: stats, model_info: model } = output;
if (metrics === undefined || model === undefined || stats === undefined || !('epochs' in stats)) {
  throw new Error(output.error ?? 'the run gave no metrics');
}
const page = path.join(folder, 'training-report.html');
await writeFile(page, await reportOf(database, output));

const result = {
  best_val_acc: metrics.best_val_acc,
  baseline_knn_acc: metrics.baselines?.knn_acc ?? null,
  shuffled_labels_acc: control.metrics?.best_val_acc ?? null,
  epochs: stats.epochs,
  export_max_abs_diff: model.export_max_abs_diff,
  seconds: Math.round((performance.now() - begun) / 100) / 10,
  rows: await rowsOf(database, output.training_run_id),
  strategy: model.strategy,
};
say(`
${cutouts.classNames.length} products, ${stats.data.splits.train} cutouts to train, ${stats.data.splits.val} to validate.
Best accuracy on cutouts never seen in training: ${percent(result.best_val_acc)}; frozen features with k-NN: ${percent(metrics.baselines?.knn_acc ?? NaN)}.
The same with shuffled labels: ${percent(control.metrics?.best_val_acc ?? NaN)} (one of ${cutouts.classNames.length} by chance is ${percent(100 / cutouts.classNames.length)}).
Look at it: ${page}`);
if (json) process.stdout.write(`${JSON.stringify(result)}\n`);

interface TrainOptions {
  cloud: LocalCloud;
  database: Database;
  tools: ClassificationTools;
  cutouts: LabelledCutouts;
  name: string;
}

/** Writes the dataset's rows and submits a run as the API does, then follows it to its end. */
async function train({
  cloud: to,
  database: db,
  tools: with_,
  cutouts: set,
  name,
}: TrainOptions): Promise<ClassificationOutput> {
  const datasetId = await insertDataset(db, set, to.imagesUrl);
  const runId = randomUUID();
  await db.insert({
    table: 'cls_training_runs',
    rows: [
      {
        id: runId,
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
  const bar = createProgressBar(name);
  try {
    return await invoke(
      createClassificationHandler(with_),
      {
        training_run_id: runId,
        dataset_id: datasetId,
        config: CONFIG,
        supabase_url: to.supabaseUrl,
        supabase_key: to.supabaseServiceKey,
      },
      {
        id: runId,
        log: createLog({ level: 'error', format: 'text' }),
        onProgress: (value) => {
          const news = value as RunNews;
          if ('total' in news) bar.update(news.done, news.total);
        },
      },
    );
  } finally {
    bar.end();
  }
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

async function rowsOf(db: Database, runId: string): Promise<number> {
  let rows = 0;
  const pages = db.pages({
    table: 'training_metrics_history',
    columns: 'id',
    schema: z.object({ id: z.string() }),
    filters: [{ column: 'training_run_id', op: 'eq', value: runId }],
  });
  for await (const page of pages) rows += page.length;
  return rows;
}

/** The run's own report, as it lies in the bucket. */
async function reportOf(db: Database, { training_run_id: runId }: ClassificationOutput): Promise<string> {
  const [url] = await db.signUrls({
    bucket: 'cls-models',
    paths: [`${runId}/report.html`],
    expiresInSeconds: 60,
  });
  if (typeof url !== 'string') throw url ?? new Error('the report is not in the bucket');
  return (await fetch(url)).text();
}

function percent(value: number): string {
  return `${value.toFixed(1)}%`;
}
