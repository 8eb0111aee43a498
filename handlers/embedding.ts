import { toHandlerError } from '../src/base/errors.ts';
import { optionalSupabase, resolveCredentials } from '../src/base/credentials.ts';
import { extract } from '../src/embedding/extract.ts';
import { embeddingFitness } from '../src/embedding/fitness.ts';
import { parseEmbeddingInput, type EmbeddingInput } from '../src/embedding/input.ts';
import { leaseModel } from '../src/embedding/job-model.ts';
import { withSpans } from '../src/embedding/job-spans.ts';
import { createJobStats, type JobStats } from '../src/embedding/job-stats.ts';
import type { EmbeddingOutput } from '../src/embedding/output.ts';
import { openTargets } from '../src/embedding/open-targets.ts';
import { planExtraction } from '../src/embedding/plan.ts';
import { openReport } from '../src/embedding/report.ts';
import { createSigner } from '../src/job/sign.ts';
import { stagesOf } from '../src/embedding/stages.ts';
import { createStatelessSink, type StatelessOutput } from '../src/embedding/stateless.ts';
import { createEmbeddingTools, type EmbeddingTools } from '../src/embedding/tools.ts';
import { createPointWriter } from '../src/embedding/write-points.ts';
import { createVectorStore } from '../src/qdrant/store.ts';
import { createDatabase } from '../src/supabase/database.ts';
import { runIfMain } from '../src/worker/serve.ts';
import type { Handler, JobContext } from '../src/worker/types.ts';

export type EmbeddingHandler = Handler<unknown, EmbeddingOutput | StatelessOutput>;

/**
 * Embeds the images that a job names and writes them to its collections: docs/job-input.md.
 * @throws InputError before anything is read or written; StoppedError `shutdown`, so that the job can run again.
 */
export const handler: EmbeddingHandler = createEmbeddingHandler();

/** The handler with tools of the caller's; without, they are made from the environment at the first job. */
export function createEmbeddingHandler(given?: EmbeddingTools): EmbeddingHandler {
  let made: EmbeddingTools | undefined;
  return async (job, context) => {
    const input = parseEmbeddingInput(job.input);
    if (input.unknownKeys.length > 0)
      context.log.debug('keys without a meaning here', { keys: input.unknownKeys });
    const tools = given ?? (made ??= createEmbeddingTools());
    using stats = createJobStats();
    const parts = { context, tools, stats };
    const { spans } = tools;
    return await withSpans<EmbeddingOutput | StatelessOutput>(
      { spans, id: job.id, input, stats, log: context.log },
      () => (isStored(input) ? embedAndStore(input, parts) : embedAndReturn(input, parts)),
    );
  };
}

interface JobParts {
  context: JobContext;
  tools: EmbeddingTools;
  stats: JobStats;
}

type StoredInput = EmbeddingInput & { job_id: string };

function isStored(input: EmbeddingInput): input is StoredInput {
  return input.job_id !== undefined;
}

/** A job with a row: the vectors go to Qdrant, the progress to Supabase. */
async function embedAndStore(input: StoredInput, parts: JobParts): Promise<EmbeddingOutput> {
  const { context, tools, stats } = parts;
  const credentials = resolveCredentials(input, tools.settings);
  const database = createDatabase({ ...credentials.supabase, ...retriesOf('supabase', parts) });
  const store = createVectorStore({ ...credentials.qdrant, ...retriesOf('qdrant', parts) });
  const targets = openTargets({ input, store });
  const report = openReport({ input, database, targets, context, stats, settleMs: tools.settleMs });
  const { log } = context;
  const { signal, skipped, warn, mark, resumed } = report;
  try {
    await report.start();
    const sign = createSigner(database);
    await using lease = await leaseModel({ input, tools, sign, log, signal });
    const { model } = lease;
    const told = { skipped, mark, resumed, warn, log };
    const plan = await planExtraction({ input, database, targets, model, ...told, signal });
    report.planned(model, plan.counts);
    const written = { model: model.fingerprint, jobId: input.job_id };
    const write = createPointWriter({ store: targets.store, ...written, report, log });
    await extract({
      ...stagesOf(tools, sign),
      images: plan.images,
      model,
      write,
      fail: report.failed,
      repeated: report.repeated,
      unchanged: report.unchanged,
      stats,
      signal: report.endSignal,
      drain: signal,
    });
    await report.serve();
  } catch (error) {
    return await report.abandon(error);
  }
  return await report.complete();
}

/** A job without a row: the vectors are its output, and nothing is written anywhere. */
async function embedAndReturn(input: EmbeddingInput, parts: JobParts): Promise<StatelessOutput> {
  const { context, tools, stats } = parts;
  const { log, signal } = context;
  const supabase = optionalSupabase(input, tools.settings);
  const sign = createSigner(supabase && createDatabase({ ...supabase, ...retriesOf('supabase', parts) }));
  const { output, ...sink } = createStatelessSink(input.images ?? [], { stats, log });
  await using lease = await leaseModel({ input, tools, sign, log, signal });
  const { model } = lease;
  try {
    await extract({ ...stagesOf(tools, sign), ...sink, model, stats, signal, drain: signal });
  } catch (error) {
    if (toHandlerError(error).code !== 'cancelled') throw error;
    return output(model, 'cancelled');
  }
  return output(model);
}

/** How long a store is asked again, and who counts it. */
function retriesOf(side: 'supabase' | 'qdrant', { tools: { patienceMs }, stats }: JobParts) {
  return { patienceMs, onRetry: () => stats.retried(side) };
}

await runIfMain(import.meta.url, handler, { fitnessChecks: embeddingFitness() });
