import { resolveSupabase } from '../src/base/credentials.ts';
import { readDataset } from '../src/classification/dataset.ts';
import { classificationFitness } from '../src/classification/fitness.ts';
import { loadingLines } from '../src/classification/input-loading.ts';
import { parseClassificationInput, type ClassificationInput } from '../src/classification/input.ts';
import type { ClassificationOutput, CompletedParts } from '../src/classification/output.ts';
import { prepareData } from '../src/classification/prepare-data.ts';
import { publishRun } from '../src/classification/publish.ts';
import { openReport, type Report } from '../src/classification/report.ts';
import { findResumed } from '../src/classification/resume.ts';
import { openRunFolder } from '../src/classification/run-folder.ts';
import { createClassificationTools, type ClassificationTools } from '../src/classification/tools.ts';
import { backboneOf, trainJob } from '../src/classification/train-job.ts';
import { tellApi } from '../src/classification/webhook.ts';
import { createSigner } from '../src/job/sign.ts';
import { createDatabase, type Database } from '../src/supabase/database.ts';
import { runIfMain } from '../src/worker/serve.ts';
import type { Handler, JobContext } from '../src/worker/types.ts';

export type ClassificationHandler = Handler<unknown, ClassificationOutput>;

/**
 * Trains a classifier on the images that a job names and stores it: docs/classification.md.
 * @throws InputError before anything is read or written; StoppedError `shutdown`, so that the job can run again.
 */
export const handler: ClassificationHandler = createClassificationHandler();

/** The handler with tools of the caller's; without, they are made from the environment at the first job. */
export function createClassificationHandler(given?: ClassificationTools): ClassificationHandler {
  let made: ClassificationTools | undefined;
  return async (job, context) => {
    const input = parseClassificationInput(job.input);
    const { log } = context;
    if (input.unknownKeys.length > 0) log.debug('keys without a meaning here', { keys: input.unknownKeys });
    for (const line of loadingLines(input.loading)) log.info(line);
    const tools = given ?? (made ??= createClassificationTools());
    const keys = { supabase_url: input.supabase_url, supabase_service_key: input.supabase_key };
    const supabase = resolveSupabase(keys, tools.settings, 'supabase_key');
    const database = createDatabase({ ...supabase, patienceMs: tools.patienceMs });
    const report = openReport({ input, database, context });
    let parts;
    try {
      parts = await train({ input, tools, database, report, context });
    } catch (error) {
      return await report.abandon(error);
    }
    await report.complete(parts);
    await tellApi({ input, parts, http: tools.http, warn: report.warn });
    return report.output(parts);
  };
}

interface Job {
  input: ClassificationInput;
  tools: ClassificationTools;
  database: Database;
  report: Report;
  context: JobContext;
}

/** From the dataset's rows to a model in the bucket. */
async function train({ input, tools, database, report, context }: Job): Promise<CompletedParts> {
  const { log } = context;
  const { signal, warn } = report;
  const sign = createSigner(database);
  const { isRerun } = await report.start();
  if (input.meaningless.length > 0) warn(`keys that change nothing here: ${input.meaningless.join(', ')}`);
  const dataset = await readDataset({ input, database, warn, signal });
  const backbone = await backboneOf({ input, tools, log, warn, signal });
  await using folder = await openRunFolder({
    runId: input.training_run_id,
    root: tools.runsFolder,
    fate: () => (report.isInterrupted ? 'goes_on' : input.config.keep_cache ? 'keep' : 'over'),
    onLost: report.stopWith,
    log,
    signal,
  });
  const { path } = folder;
  const at = { folder: path, log, signal };
  await using data = await prepareData({
    ...{ input, tools, dataset, sign, preprocessing: backbone.preprocessing, ...at },
    onProgress: (pictures) => {
      report.progress({ stage: 'pictures', ...pictures });
    },
  });
  report.data(data.report);
  const { training_run_id: runId, resume_from: resumeFrom } = input;
  const resumed = await findResumed({ runId, isRerun, resumeFrom, http: tools.http, sign, ...at });
  const made = { input, tools, database, dataset, backbone, data, folder: path, report, log };
  await using run = await trainJob({ ...made, resumed });
  return await publishRun({ ...made, run, resumedFromEpoch: resumed?.state.sampler.epoch ?? null });
}

await runIfMain(import.meta.url, handler, { fitnessChecks: classificationFitness() });
