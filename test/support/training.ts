import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { createClassificationHandler, type ClassificationHandler } from '../../handlers/cls.ts';
import { createLog } from '../../src/base/log.ts';
import { readSettings } from '../../src/base/settings.ts';
import type { ClassificationOutput } from '../../src/classification/output.ts';
import type { RunNews } from '../../src/classification/report.ts';
import {
  createClassificationTools,
  type ClassificationTools,
  type CreateTrainer,
} from '../../src/classification/tools.ts';
import { buildSmallConv } from '../../src/model/small/small-conv.ts';
import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import { createTrainer } from '../../src/training/create-trainer.ts';
import type { Trainer } from '../../src/training/trainer.ts';
import { invoke } from '../../src/worker/invoke.ts';
import { temporaryFolder } from './folder.ts';
import { testImages, type TestImages } from './images.ts';
import type { LogLine, Row } from './job.ts';
import { testSupabase, type TestSupabase } from './supabase.ts';

/** Everything a training job speaks to, real and on this machine, and the handler with its tools. */
export interface TrainingCloud extends AsyncDisposable {
  supabase: TestSupabase;
  images: TestImages;
  tools: ClassificationTools & { settleMs: number };
  handler: ClassificationHandler;
  /** Where runs keep what they need on the disk. */
  runsFolder: string;
  /** Holds `resnet50`, a small convolutional network, and `vit_tiny_patch16_224`: random weights, pictures of 32 x 32. */
  modelsFolder: string;
  credentials: { supabase_url: string; supabase_key: string };
}

/** Models of other machines play no part in a test. */
const NO_HUB = { HF_HUB_OFFLINE: '1', HF_HUB_CACHE: '/nowhere/hub' };

/** One for a test file: it costs a few seconds. */
export async function startTrainingCloud(): Promise<TrainingCloud> {
  const started = new AsyncDisposableStack();
  const [supabase, images, folder] = await Promise.all([testSupabase(), testImages(), temporaryFolder()]);
  for (const part of [supabase, images, folder]) started.use(part);
  const modelsFolder = join(folder.path, 'models');
  await mkdir(join(modelsFolder, 'resnet50'), { recursive: true });
  await writeFile(
    join(modelsFolder, 'resnet50', 'model.onnx'),
    writeModel(buildSmallConv({ size: 32, channels: 16 })),
  );
  await mkdir(join(modelsFolder, 'vit_tiny_patch16_224'));
  await writeFile(
    join(modelsFolder, 'vit_tiny_patch16_224', 'model.onnx'),
    writeModel(buildTinyVit({ size: 32, dim: 16 })),
  );
  const settings = {
    ...readSettings({ ...NO_HUB, MODEL_DIR: modelsFolder }),
    ALLOW_PRIVATE_HOSTS: true,
    INFERENCE_THREADS: 1,
  };
  const runsFolder = join(folder.path, 'runs');
  await mkdir(runsFolder);
  const tools = {
    ...started.adopt(createClassificationTools(settings), (made) => made.close()),
    runsFolder,
    // Rows of tests are written before their runs start: nobody writes over them late.
    settleMs: 0,
  };
  return {
    supabase,
    images,
    tools,
    handler: createClassificationHandler(tools),
    runsFolder,
    modelsFolder,
    credentials: { supabase_url: supabase.url, supabase_key: supabase.serviceKey },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

export interface TrainingRun {
  runId: string;
  output: ClassificationOutput;
  lines: LogLine[];
  messages: string[];
  progress: RunNews[];
}

export interface TrainingOptions {
  /** Columns of the run's row; null: the database has no such row; absent: an ordinary queued one. */
  row?: Row | null;
  signal?: AbortSignal;
  /** By which the platform knows the job; the run's id by default. */
  requestId?: string;
  handler?: ClassificationHandler;
  onLine?: (line: LogLine) => void;
  onProgress?: (news: RunNews) => void;
}

/** Submits a job as the API does, the row first, and runs it to its end. */
export async function runTraining(
  cloud: TrainingCloud,
  input: Record<string, unknown>,
  options: TrainingOptions = {},
): Promise<TrainingRun> {
  const runId = typeof input.training_run_id === 'string' ? input.training_run_id : randomUUID();
  if (options.row !== null) {
    const dataset = typeof input.dataset_id === 'string' ? input.dataset_id : await anyDataset(cloud);
    await insertRun(cloud, runId, { dataset_id: dataset, ...options.row });
  }
  const lines: LogLine[] = [];
  const progress: RunNews[] = [];
  const output = await invoke(
    options.handler ?? cloud.handler,
    { training_run_id: runId, ...cloud.credentials, ...input },
    {
      id: options.requestId ?? runId,
      ...(options.signal && { signal: options.signal }),
      log: createLog({
        level: 'debug',
        write: (text) => {
          const line = JSON.parse(text) as LogLine;
          lines.push(line);
          options.onLine?.(line);
        },
      }),
      onProgress: (value) => {
        progress.push(value as RunNews);
        options.onProgress?.(value as RunNews);
      },
    },
  );
  return { runId, output, lines, messages: lines.map(({ message }) => message), progress };
}

async function anyDataset(cloud: TrainingCloud): Promise<string> {
  const id = randomUUID();
  await insert(cloud, 'cls_datasets', [{ id, name: 'of no matter', task_type: 'single_label' }]);
  return id;
}

/** A row that is there already is left as it is. */
export async function insertRun(cloud: TrainingCloud, id: string, columns: Row): Promise<void> {
  const row = {
    id,
    name: 'run',
    task_type: 'single_label',
    num_classes: 2,
    model_type: 'demo',
    model_size: 'small',
    config: {},
    status: 'queued',
    current_epoch: 0,
    total_epochs: 3,
    ...columns,
  };
  const names = Object.keys(row).join(', ');
  await cloud.supabase.sql(
    `insert into cls_training_runs (${names}) select ${names} from jsonb_populate_record(null::cls_training_runs, $1::jsonb)
     on conflict do nothing`,
    [JSON.stringify(row)],
  );
}

export async function insert(cloud: TrainingCloud, table: string, rows: readonly Row[]): Promise<void> {
  const names = Object.keys(rows[0] ?? {}).join(', ');
  await cloud.supabase.sql(
    `insert into ${table} (${names}) select ${names} from jsonb_populate_recordset(null::${table}, $1::jsonb)`,
    [JSON.stringify(rows)],
  );
}

/** Makes trainers of which some calls are others. */
export function trainerWith(changes: (trainer: Trainer) => Partial<Trainer>): CreateTrainer {
  return async (options) => {
    const trainer = await createTrainer(options);
    const own = Object.getOwnPropertyDescriptors(changes(trainer));
    return Object.create(trainer, own) as Trainer;
  };
}

export interface TestDataset {
  id: string;
  /** Paths of the pictures at the image server, by class. */
  paths: Record<string, string[]>;
}

export interface DatasetOptions {
  /** Images of each class. */
  classes: Record<string, number>;
  split?: (i: number) => string | null;
  taskType?: string;
}

let datasets = 0;

/** A dataset of the database: each class is a thing, and its images are different pictures of that thing. */
export async function addDataset(cloud: TrainingCloud, options: DatasetOptions): Promise<TestDataset> {
  const { classes, split = () => null, taskType = 'single_label' } = options;
  const [id, number] = [randomUUID(), datasets++];
  await insert(cloud, 'cls_datasets', [{ id, name: `dataset ${number}`, task_type: taskType }]);
  const paths: Record<string, string[]> = {};
  for (const [name, count] of Object.entries(classes)) {
    const classId = randomUUID();
    await insert(cloud, 'cls_classes', [{ id: classId, dataset_id: id, name }]);
    const images = Array.from({ length: count }, (_, i) => ({
      id: randomUUID(),
      path: `/shots/${number} ${name}/${i}.png`,
      i,
    }));
    paths[name] = images.map(({ path }) => path);
    if (count === 0) continue;
    const url = (path: string): string => cloud.images.url + encodeURI(path);
    await insert(
      cloud,
      'cls_images',
      images.map((image) => ({ id: image.id, filename: 'x.png', image_url: url(image.path) })),
    );
    await insert(
      cloud,
      'cls_dataset_images',
      images.map((image) => ({ dataset_id: id, image_id: image.id, split: split(image.i) })),
    );
    await insert(
      cloud,
      'cls_labels',
      images.map((image) => ({ dataset_id: id, image_id: image.id, class_id: classId })),
    );
  }
  return { id, paths };
}

export async function runRow(cloud: TrainingCloud, id: string): Promise<Row> {
  const [row] = await cloud.supabase.sql('select * from cls_training_runs where id = $1', [id]);
  if (row === undefined) throw new TypeError(`there is no run ${id}`);
  return row;
}

export async function epochRows(cloud: TrainingCloud, id: string): Promise<Row[]> {
  return await cloud.supabase.sql(
    "select * from training_metrics_history where training_run_id = $1 and training_type = 'cls' order by epoch",
    [id],
  );
}

/** A stored object's bytes. */
export async function objectOf(
  cloud: TrainingCloud,
  url: string,
): Promise<{ bytes: Buffer; type: string | null }> {
  const [bucket = '', ...path] = url.split('/');
  const [signed] = await cloud.supabase.database.signUrls({
    bucket,
    paths: [path.join('/')],
    expiresInSeconds: 60,
  });
  if (typeof signed !== 'string') throw signed ?? new TypeError(`no address for ${url}`);
  const response = await fetch(signed);
  return { bytes: Buffer.from(await response.arrayBuffer()), type: response.headers.get('content-type') };
}
