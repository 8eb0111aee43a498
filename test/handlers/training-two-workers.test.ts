import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createClassificationHandler } from '../../handlers/cls.ts';
import {
  addDataset,
  epochRows,
  insertRun,
  runRow,
  runTraining,
  startTrainingCloud,
  type TestDataset,
  type TrainingCloud,
  type TrainingOptions,
} from '../support/training.ts';

let cloud: TrainingCloud;
let dataset: TestDataset;

beforeAll(async () => {
  cloud = await startTrainingCloud();
  dataset = await addDataset(cloud, { classes: { cola: 12, apple: 12 } });
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const SHORT = { model_name: 'demo', epochs: 2, batch_size: 8, augmentation: 'none' };
const LONG = {
  ...SHORT,
  model_name: 'resnet50',
  strategy: 'full',
  epochs: 5_000,
  early_stopping: false,
};

/** A worker of another machine: it has the run's folder to itself. */
function elsewhere(): ReturnType<typeof createClassificationHandler> {
  return createClassificationHandler({ ...cloud.tools, runsFolder: `${cloud.runsFolder}-${randomUUID()}` });
}

/** Starts a run, and another one of the same row once it trains. */
async function overtaken(
  first: TrainingOptions,
  second: TrainingOptions,
): Promise<{ runId: string; refusal: unknown }> {
  const input = { training_run_id: randomUUID(), dataset_id: dataset.id };
  const under = Promise.withResolvers<undefined>();
  const earlier = runTraining(
    cloud,
    { ...input, config: LONG },
    {
      ...first,
      onProgress: (news) => {
        if (news.stage === 'training') under.resolve(undefined);
      },
    },
  ).then(
    () => undefined,
    (error: unknown) => error,
  );
  await under.promise;
  const { output } = await runTraining(
    cloud,
    { ...input, config: SHORT },
    { ...second, handler: elsewhere() },
  );
  expect(output.status).toBe('COMPLETED');
  return { runId: input.training_run_id, refusal: await earlier };
}

test.each([
  ['the same request, which is answered there', 'one', true],
  ['another request, so that this one is answered here', 'two', false],
])(
  'of two workers with one run the later takes over: %s',
  async (_, request, answeredElsewhere) => {
    const { runId, refusal } = await overtaken({ requestId: 'one' }, { requestId: request });
    expect(refusal).toMatchObject({ code: 'superseded', answeredElsewhere });
    expect(await runRow(cloud, runId)).toMatchObject({ status: 'completed', current_epoch: 2 });
    expect((await epochRows(cloud, runId)).map(({ epoch }) => epoch)).toEqual([1, 2]);
  },
  120_000,
);

test.each([
  ['all_epochs', {}],
  ['no_better', { epochs: 50, patience: 1, learning_rate: 1e-9 }],
  ['time_budget', { epochs: 5_000, time_budget_seconds: 1, early_stopping: false }],
])(
  'a run that is completed (%s) and delivered again is not trained again; for another request it is',
  async (why, more) => {
    const config = { ...SHORT, model_name: 'resnet50', strategy: 'full', ...more };
    const input = { training_run_id: randomUUID(), dataset_id: dataset.id, config };
    const first = await runTraining(cloud, input, { requestId: 'delivered' });
    const epochs = (await epochRows(cloud, first.runId)).length;
    const ended = { epochs, stopped_because: why };
    expect(first.output).toMatchObject({ status: 'COMPLETED', training_stats: ended });
    const again = await runTraining(cloud, input, { requestId: 'delivered', handler: elsewhere() });
    expect(again.output).toMatchObject({
      status: 'COMPLETED',
      training_stats: { ...ended, resumed_from_epoch: epochs },
    });
    expect(again.progress.filter(({ stage }) => stage === 'training')).toEqual([]);
    const figures = ({ output }: typeof first) => ({ ...output.metrics, total_time: 0 });
    expect(figures(again)).toEqual(figures(first));
    expect(await runRow(cloud, first.runId)).toMatchObject({
      status: 'completed',
      best_epoch: first.output.metrics?.best_epoch,
    });

    const other = await runTraining(cloud, input, { requestId: 'asked for anew' });
    expect(other.output).toMatchObject({ training_stats: { resumed_from_epoch: null } });
  },
  120_000,
);

test('a database without leases does not know a delivery from another', async () => {
  await cloud.supabase.sql('alter table cls_training_runs drop column lease_holder');
  const input = { training_run_id: randomUUID(), dataset_id: dataset.id, config: { ...SHORT, epochs: 1 } };
  await insertRun(cloud, input.training_run_id, { dataset_id: dataset.id, status: 'completed' });
  const { output } = await runTraining(cloud, input);
  expect(output).toMatchObject({ status: 'COMPLETED', training_stats: { resumed_from_epoch: null } });
  expect(output.warnings).toEqual([expect.stringContaining('no column lease_holder')]);
}, 120_000);
