import { optionalSupabase, resolveCredentials } from '../src/base/credentials.ts';
import { extract } from '../src/embedding/extract.ts';
import { parseEmbeddingInput, type EmbeddingInput } from '../src/embedding/input.ts';
import { leaseModel } from '../src/embedding/job-model.ts';
import type { EmbeddingOutput } from '../src/embedding/output.ts';
import { planExtraction } from '../src/embedding/plan.ts';
import { openReport } from '../src/embedding/report.ts';
import { createSigner, signImages } from '../src/embedding/sign.ts';
import { createStatelessSink, type StatelessOutput } from '../src/embedding/stateless.ts';
import { createEmbeddingTools, type EmbeddingTools } from '../src/embedding/tools.ts';
import { createPointWriter } from '../src/embedding/write-points.ts';
import { decodeImage } from '../src/image/decode.ts';
import { createVectorStore } from '../src/qdrant/store.ts';
import { createDatabase } from '../src/supabase/database.ts';
import { runIfMain } from '../src/worker/program.ts';
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
    return isStored(input) ? embedAndStore(input, context, tools) : embedAndReturn(input, context, tools);
  };
}

type StoredInput = EmbeddingInput & { job_id: string };

function isStored(input: EmbeddingInput): input is StoredInput {
  return input.job_id !== undefined;
}

/** A job with a row: the vectors go to Qdrant, the progress to Supabase. */
async function embedAndStore(
  input: StoredInput,
  context: JobContext,
  tools: EmbeddingTools,
): Promise<EmbeddingOutput> {
  const credentials = resolveCredentials(input, tools.settings);
  const database = createDatabase(credentials.supabase);
  const store = createVectorStore(credentials.qdrant);
  const report = openReport({ input, database, store, context });
  const { log } = context;
  const { signal, skipped, warn } = report;
  try {
    await report.start();
    const sign = createSigner(database);
    await using lease = await leaseModel({ input, tools, sign, log, signal });
    const { model } = lease;
    const plan = await planExtraction({ input, database, store, model, skipped, warn, log, signal });
    report.planned(model, plan.counts);
    await extract({
      images: plan.images,
      sign: signImages(sign),
      source: tools.source,
      decode: decodeImage,
      model,
      write: createPointWriter({ store, model: model.fingerprint, jobId: input.job_id, report, log }),
      fail: report.failed,
      limits: tools.limits,
      signal,
    });
    return await report.complete();
  } catch (error) {
    return await report.abandon(error);
  }
}

/** A job without a row: the vectors are its output, and nothing is written anywhere. */
async function embedAndReturn(
  input: EmbeddingInput,
  { log, signal }: JobContext,
  tools: EmbeddingTools,
): Promise<StatelessOutput> {
  const supabase = optionalSupabase(input, tools.settings);
  const sign = createSigner(supabase && createDatabase(supabase));
  const sink = createStatelessSink(input.images ?? []);
  await using lease = await leaseModel({ input, tools, sign, log, signal });
  await extract({
    images: sink.images,
    sign: signImages(sign),
    source: tools.source,
    decode: decodeImage,
    model: lease.model,
    write: sink.write,
    fail: sink.fail,
    limits: tools.limits,
    signal,
  });
  return sink.output(lease.model);
}

await runIfMain(import.meta.url, handler);
