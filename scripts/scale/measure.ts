import {
  addCutouts,
  addProducts,
  MODEL_ID,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
} from '../../test/support/job.ts';
import { testProxy } from '../../test/support/proxy.ts';

export interface Measured {
  images: number;
  supabaseReads: number;
  supabaseMarks: number;
  qdrantUpserts: number;
  /** Mean of a point's payload as JSON. */
  payloadBytes: number;
}

/** So many different pictures: what is counted are requests. */
const PICTURES = 4;

/**
 * Runs a matching job of so many products, a frame each, and as many cutouts on the local cloud, into collections that
 * are there, and counts what it asks of the services. Rows of its own and of collections are left out.
 */
export async function measure(products: number): Promise<Measured> {
  await using cloud = await startJobCloud();
  await using supabase = await testProxy(cloud.supabase.url);
  await using qdrant = await testProxy(cloud.qdrant.url);
  const { images } = cloud;
  const frames = (i: number) => ({
    frames_path: `${images.url}/frames/${productId(i % PICTURES)}`,
    frame_count: 1,
  });
  await addProducts(cloud, range(0, products), frames);
  await addCutouts(
    cloud,
    range(0, products),
    (i) => i % PICTURES,
    (i) => ({ image_url: `${images.url}/many/${i}.png` }),
  );
  const input = {
    supabase_url: supabase.url,
    qdrant_url: qdrant.url,
    purpose: 'matching',
    collection_metadata: { embedding_model_id: MODEL_ID },
    source_config: { type: 'both', product_collection: 'products', cutout_collection: 'cutouts' },
  };
  const { output } = await runJob(cloud, input);
  if (output.status !== 'success' || output.failed_count > 0)
    throw new Error(`the job failed: ${JSON.stringify(output)}`);
  const count = (requests: typeof supabase.requests, method: string, path: RegExp): number =>
    requests.filter((request) => request.method === method && path.test(request.path)).length;
  const points = [
    ...(await pointsOf(cloud, 'products')).values(),
    ...(await pointsOf(cloud, 'cutouts')).values(),
  ];
  const bytes = points.reduce((sum, { payload }) => sum + Buffer.byteLength(JSON.stringify(payload)), 0);
  return {
    images: 2 * products,
    supabaseReads: count(supabase.requests, 'GET', /\/rest\/v1\/(products|cutout_images)\b/),
    supabaseMarks: count(supabase.requests, 'POST', /\/rpc\/mark_cutouts_embedded/),
    qdrantUpserts: count(qdrant.requests, 'PUT', /\/points(\?|$)/),
    payloadBytes: Math.round(bytes / points.length),
  };
}
