import type { Log } from '../src/base/log.ts';
import { whileHeld } from '../src/classification/artefacts.ts';
import { readDataset } from '../src/classification/dataset.ts';
import { classificationFitness } from '../src/classification/fitness.ts';
import { loadingLines } from '../src/classification/input-loading.ts';
import { parseClassificationInput, type ClassificationInput } from '../src/classification/input.ts';
import type { ClassificationOutput, CompletedParts } from '../src/classification/output.ts';
import { placeOf, type RunPlace } from '../src/classification/place.ts';
import { prepareData } from '../src/classification/prepare-data.ts';
import { publishRun } from '../src/classification/publish.ts';
import { openReport, type Report } from '../src/classification/report.ts';
import { findCheckpoints } from '../src/classification/resume.ts';
import { openRunFolder } from '../src/classification/run-folder.ts';
import { createClassificationTools, type ClassificationTools } from '../src/classification/tools.ts';
import { backboneOf, trainJob } from '../src/classification/train-job.ts';
import { tellApi } from '../src/classification/webhook.ts';
import { runIfMain } from '../src/worker/serve.ts';
import type { Handler } from '../src/worker/types.ts';

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
    const found = placeOf(input, tools);
    const report = openReport({ input, place: found, context, settleMs: tools.settleMs });
    const place = { ...found, artefacts: whileHeld(found.artefacts, report.confirm) };
    let parts;
    try {
      parts = await train({ input, tools, place, report, log });
      await report.complete(parts);
    } catch (error) {
      return await report.abandon(error);
    }
    await tellApi({ input, parts, http: tools.http, warn: report.warn });
    return report.output(parts);
  };
}

interface Run {
  input: ClassificationInput;
  tools: ClassificationTools;
  place: RunPlace;
  report: Report;
  log: Log;
}

/** From the dataset's rows to a model that is stored. */
async function train(run: Run): Promise<CompletedParts> {
  const { input, tools, place, report, log } = run;
  const { signal, warn } = report;
  const { sign, database } = place;
  const { isRerun } = await report.start();
  if (input.meaningless.length > 0) warn(`keys that change nothing here: ${input.meaningless.join(', ')}`);
  const dataset = await readDataset({ input, database, warn, signal });
  const backbone = await backboneOf({ input, tools, log, warn, signal });
  place.artefacts.expect(backbone);
  await using opened = await openRunFolder({ ...folderOf(run), log, signal });
  const { path: folder } = opened;
  const { preprocessing } = backbone;
  const onProgress = report.fetched;
  await using data = await prepareData({
    input,
    tools,
    dataset,
    preprocessing,
    folder,
    sign,
    onProgress,
    log,
    signal,
  });
  report.data(data.report);
  const from = { runId: place.runId, isRerun, resumeFrom: input.resume_from };
  const checkpoints = findCheckpoints({ ...from, folder, http: tools.http, sign, log, signal });
  await using trained = await trainJob({ ...run, dataset, backbone, data, folder, checkpoints });
  return await publishRun({ input, place, dataset, backbone, data, run: trained, folder, report });
}

/** The folder goes with the run: it stays where the job runs again, or asks for that. */
function folderOf({ input, tools, place, report }: Run) {
  return {
    runId: place.runId,
    root: tools.runsFolder,
    fate: () =>
      report.isInterrupted && place.hasRow ? 'goes_on' : input.config.keep_cache ? 'keep' : 'over',
    onLost: report.stopWith,
  } as const;
}

await runIfMain(import.meta.url, handler, { fitnessChecks: classificationFitness() });
