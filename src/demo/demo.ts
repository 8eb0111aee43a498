import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { EmbeddingOutput } from '../embedding/output.ts';
import type { LocalCloud } from '../local/cloud.ts';
import { createVectorStore, type VectorStore } from '../qdrant/store.ts';
import { createDatabase } from '../supabase/database.ts';
import { readCommandLine } from './command-line.ts';
import { meanColourRecall } from './control.ts';
import { recallOf, searchCutouts, type CutoutTruth } from './evaluate.ts';
import { createProgressBar } from '../cli/progress-bar.ts';
import { reportPage } from './report-page.ts';
import { runJob } from './run-job.ts';
import { serveHandler } from './serve-handler.ts';
import { startShelfCloud } from '../cli/shelf-cloud.ts';

/** `npm run demo`: a matching job on the sample shelf, then a search of each cutout among the products. */
const COLLECTIONS = { products: 'products_demo', cutouts: 'cutouts_demo' } as const;

const { json, folder } = readCommandLine(
  'npm run demo: a matching job on a sample shelf, then a search of each cutout among the products',
);
const begun = performance.now();
const say = (line: string): void => void process.stderr.write(`${line}\n`);

say('Starting Supabase, Qdrant and an image server on this machine ...');
await using cloud = await startShelfCloud({ folder });

const output = await runMatchingJob(cloud);
if (output.error !== undefined) throw new Error(output.error);

const store = createVectorStore({ url: cloud.qdrantUrl, apiKey: cloud.qdrantApiKey });
const truths = truthsOf(cloud);
const cutouts = await searchCutouts(store, COLLECTIONS, truths);
const recall = recallOf(cutouts);
const control = await meanColourRecall(cloud.shelf, cloud.shelfFolder, truths);
const seconds = Math.round((performance.now() - begun) / 100) / 10;

const page = path.join(folder, 'report.html');
await writeFile(
  page,
  reportPage({
    cutouts,
    recall,
    meanColourFamilies: control.families,
    failures: output.failed_images,
    processed: output.processed_count,
    seconds: output.seconds,
    picture: (url) => url.replace(cloud.imagesUrl, path.posix.join('shelf', String(cloud.shelf.seed))),
  }),
);

const result = {
  collections: {
    [COLLECTIONS.products]: await contentsOf(store, COLLECTIONS.products),
    [COLLECTIONS.cutouts]: await contentsOf(store, COLLECTIONS.cutouts),
  },
  processed: output.processed_count,
  failed: output.failed_count,
  failed_by_code: output.failed_by_code,
  recall_at_1: recall.all,
  recall_at_1_families: recall.families,
  mean_colour_families: control.families,
  seconds,
};
say(`
Embedded ${result.processed} images in ${output.seconds.toFixed(1)} s; ${result.failed} failed: ${JSON.stringify(result.failed_by_code)}
Nearest product is the right one for ${share(recall.all)} of ${cutouts.length} cutouts;
among products that differ in print alone for ${share(recall.families)}, by mean colour for ${share(control.families)}.
Look at each of them: ${page}`);
if (json) process.stdout.write(`${JSON.stringify(result)}\n`);

/** Submits a job as the API does, a row first, to the handler's own endpoint, and follows it to its end. */
async function runMatchingJob(to: LocalCloud): Promise<EmbeddingOutput> {
  const jobId = randomUUID();
  const database = createDatabase({ url: to.supabaseUrl, key: to.supabaseServiceKey });
  await database.insert({
    table: 'embedding_jobs',
    rows: [
      {
        id: jobId,
        job_type: 'full',
        source: 'both',
        status: 'queued',
        embedding_model_id: to.shelf.modelId,
        purpose: 'matching',
      },
    ],
  });
  const credentials = {
    supabase_url: to.supabaseUrl,
    supabase_service_key: to.supabaseServiceKey,
    qdrant_url: to.qdrantUrl,
    qdrant_api_key: to.qdrantApiKey,
  };
  await using embedding = await serveHandler('embedding', environmentOf(credentials));
  const bar = createProgressBar({ label: 'embedding' });
  try {
    const output = (await runJob({
      baseUrl: embedding.baseUrl,
      name: 'embedding',
      input: {
        job_id: jobId,
        model_type: 'demo',
        purpose: 'matching',
        source_config: {
          type: 'both',
          filters: { product_source: 'all' },
          frame_selection: 'all',
          product_collection: COLLECTIONS.products,
          cutout_collection: COLLECTIONS.cutouts,
        },
        collection_metadata: {
          collection_type: 'matching',
          source_type: 'all',
          embedding_model_id: to.shelf.modelId,
        },
        ...credentials,
      },
      onProgress: (progress) => {
        const { processed, total, failed } = progress as Record<'processed' | 'total' | 'failed', number>;
        bar.update({ done: processed, total, failed });
      },
    })) as EmbeddingOutput;
    const { processed_count: done, failed_count: failed } = output;
    bar.update({ done: done + failed, total: output.total_images, failed });
    return output;
  } finally {
    bar.end();
  }
}

/** Of the handler's process. */
function environmentOf(credentials: Record<string, string>): Record<string, string> {
  return {
    SUPABASE_URL: credentials.supabase_url ?? '',
    SUPABASE_SERVICE_ROLE_KEY: credentials.supabase_service_key ?? '',
    QDRANT_URL: credentials.qdrant_url ?? '',
    QDRANT_API_KEY: credentials.qdrant_api_key ?? '',
    // The broken files of the shelf are meant to fail: they are in the result, not on the screen.
    LOG_LEVEL: 'error',
  };
}

function truthsOf({ shelf }: LocalCloud): Map<string, CutoutTruth> {
  const products = new Map(shelf.products.map((product) => [product.id, product]));
  return new Map(
    shelf.cutouts.flatMap(({ id, productId }) => {
      const product = products.get(productId ?? '');
      if (product === undefined) return [];
      const truth = {
        id,
        productId: product.id,
        productName: product.name,
        inFamily: product.family !== null,
      };
      return [[id, truth] as const];
    }),
  );
}

async function contentsOf(
  from: VectorStore,
  collection: string,
): Promise<{ points: number; product: number; cutout: number }> {
  const ofSource = (source: string): Promise<number> =>
    from.count(collection, { must: [{ key: 'source', match: source }] });
  const [points, product, cutout] = await Promise.all([
    from.count(collection),
    ofSource('product'),
    ofSource('cutout'),
  ]);
  return { points, product, cutout };
}

function share(part: number): string {
  return `${(part * 100).toFixed(1)}%`;
}
