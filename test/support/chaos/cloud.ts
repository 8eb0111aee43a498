import {
  addCutouts,
  addProducts,
  askQdrant,
  collectionsIn,
  insertRows,
  MODEL_ID,
  productId,
  range,
  startJobCloud,
  type JobCloud,
  type Row,
} from '../job.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
import type { Edge } from './schedule.ts';

/** One cloud for the reference and for every seed, so that ids and addresses are the same in all of them. */
export interface ChaosCloud extends AsyncDisposable {
  cloud: JobCloud;
  proxies: Readonly<Record<Edge, FaultProxy>>;
  /** The whole job, as the API submits it; its stores and images lie behind the proxies. */
  input: Row;
  /** How many of its images exist, and how many of those are broken. */
  images: { total: number; broken: number };
  /** As if no job had ever run; waits for what dead workers have sent. */
  reset(): Promise<void>;
}

const JOB_ID = '10b00000-0000-4000-8000-000000000001';
const PRODUCTS = 24;
const FRAMES = 4;
/** Of these every third has no frame's number, and every fourth lies in storage. */
const REAL_IMAGES = 36;
const CUTOUTS = 96;
/** Every so-many-th has the url of the one before it. */
const SHARED_URL = 4;
const BROKEN_CUTOUTS = 5;

const framePath = (product: number, frame: number): string =>
  `/frames/${productId(product)}/frame_${String(frame).padStart(4, '0')}.png`;
const cutoutPath = (cutout: number): string => {
  const shown = cutout % SHARED_URL === SHARED_URL - 1 ? cutout - 1 : cutout;
  return `/cutouts/${productId(shown % PRODUCTS)}/${shown}.jpg`;
};
const realPath = (image: number): string => `/cutouts/${productId(image % PRODUCTS)}/real-${image}.jpg`;

export async function startChaosCloud(): Promise<ChaosCloud> {
  const started = new AsyncDisposableStack();
  try {
    const cloud = started.use(await startJobCloud());
    const proxies = {
      images: started.use(await startFaultProxy(cloud.images.url)),
      supabase: started.use(await startFaultProxy(cloud.supabase.url)),
      qdrant: started.use(await startFaultProxy(cloud.qdrant.url)),
    };
    const broken = await fill(cloud, proxies.images.url);
    return {
      cloud,
      proxies,
      input: jobInput(cloud, proxies),
      images: { total: PRODUCTS * FRAMES + REAL_IMAGES + CUTOUTS, broken },
      reset: () => reset(cloud, proxies),
      [Symbol.asyncDispose]: () => started.disposeAsync(),
    };
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}

/** Returns how many images are broken. */
async function fill(cloud: JobCloud, imagesUrl: string): Promise<number> {
  await addProducts(cloud, range(0, PRODUCTS), (i) => ({
    frames_path: `${imagesUrl}/frames/${productId(i)}`,
    frame_count: FRAMES,
  }));
  await addCutouts(
    cloud,
    range(0, CUTOUTS),
    (i) => i % PRODUCTS,
    (i) => ({ image_url: `${imagesUrl}${cutoutPath(i)}` }),
  );
  const { database } = cloud.supabase;
  await database.ensureBucket({ bucket: 'frames' });
  await insertRows(
    cloud,
    'product_images',
    await Promise.all(
      range(0, REAL_IMAGES).map(async (i) => {
        const stored = i % 4 === 0;
        const path = `real/${i}.jpg`;
        if (stored) {
          const body = await cloud.images.picture(realPath(i));
          await database.upload({ bucket: 'frames', path, body, contentType: 'image/jpeg' });
        }
        return {
          id: `f0000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
          product_id: productId(i % PRODUCTS),
          image_path: path,
          image_url: stored ? null : `${imagesUrl}${realPath(i)}`,
          image_type: 'real',
          frame_index: i % 3 === 0 ? null : i,
        };
      }),
    ),
  );
  return breakSome(cloud);
}

/** Broken for good, each in another way: these fail in every run. */
function breakSome({ images }: JobCloud): number {
  const paths = [
    ...range(0, BROKEN_CUTOUTS).map((i) => cutoutPath(i * 17)),
    framePath(3, 1),
    framePath(9, 2),
    realPath(1),
  ];
  const ways = [
    { status: 404 },
    { body: '<html>not found</html>', type: 'text/html' },
    'truncated',
    { body: '', type: 'image/jpeg' },
    { body: '\u0089PNG, or so it says', type: 'image/png' },
  ] as const;
  for (const [i, path] of paths.entries()) images.misbehave(path, ways[i % ways.length] ?? 'truncated');
  const shared = range(0, CUTOUTS).filter((i) => paths.includes(cutoutPath(i))).length;
  return paths.length - BROKEN_CUTOUTS + shared;
}

function jobInput(cloud: JobCloud, proxies: Readonly<Record<Edge, FaultProxy>>): Row {
  return {
    job_id: JOB_ID,
    model_type: 'demo',
    purpose: 'matching',
    collection_name: 'chaos_products',
    source_config: {
      type: 'both',
      frame_selection: 'all',
      product_collection: 'chaos_products',
      cutout_collection: 'chaos_cutouts',
      filters: { image_types: ['synthetic', 'real'] },
    },
    collection_metadata: {
      collection_type: 'matching',
      source_type: 'all',
      embedding_model_id: MODEL_ID,
      frame_selection: 'all',
    },
    ...cloud.credentials,
    supabase_url: proxies.supabase.url,
    qdrant_url: proxies.qdrant.url,
  };
}

async function reset(cloud: JobCloud, proxies: Readonly<Record<Edge, FaultProxy>>): Promise<void> {
  await Promise.all(Object.values(proxies).map((proxy) => proxy.idle()));
  for (const name of await collectionsIn(cloud)) {
    await askQdrant(cloud, 'DELETE', `/collections/${encodeURIComponent(name)}`);
  }
  await cloud.supabase.sql(`
    delete from embedding_job_failures;
    delete from embedding_collections;
    delete from embedding_jobs;
    update embedding_models set qdrant_vector_count = 0;
    update cutout_images set has_embedding = false, qdrant_point_id = null, embedding_model_id = null;
    insert into embedding_jobs (id, job_type, source, status, purpose)
      values ('${JOB_ID}', 'full', 'both', 'queued', 'matching')`);
}
