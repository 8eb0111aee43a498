/**
 * What a run of so many images costs: `node scripts/scale.ts --images 1e8 --rate 400 --workers 50 --shards 400`, with
 * `--gpu-price 0.69` (an hour of one worker) in money too. `--measure 1000` counts what a job of this machine asks of the
 * services. docs/scale.md says what the numbers mean.
 */
import { parseArgs } from 'node:util';

import { costsOf } from './scale/costs.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '1e8' },
    rate: { type: 'string' },
    workers: { type: 'string', default: '50' },
    shards: { type: 'string', default: '400' },
    'cutout-share': { type: 'string', default: '0.5' },
    'images-per-product': { type: 'string', default: '1' },
    'start-seconds': { type: 'string', default: '60' },
    'image-bytes': { type: 'string', default: '170000' },
    dim: { type: 'string', default: '768' },
    'payload-bytes': { type: 'string', default: '460' },
    'gpu-price': { type: 'string' },
    measure: { type: 'string' },
  },
});

if (values.measure === undefined) tellCosts();
else {
  const { measure } = await import('./scale/measure.ts');
  console.log(JSON.stringify(await measure(number('measure', values.measure)), undefined, 2));
}

function tellCosts(): void {
  const price = values['gpu-price'];
  const costs = costsOf({
    images: number('images', values.images),
    rate: above0('rate', values.rate),
    workers: above0('workers', values.workers),
    shards: above0('shards', values.shards),
    cutoutShare: number('cutout-share', values['cutout-share']),
    imagesPerProduct: above0('images-per-product', values['images-per-product']),
    startSeconds: number('start-seconds', values['start-seconds']),
    imageBytes: number('image-bytes', values['image-bytes']),
    dim: number('dim', values.dim),
    payloadBytes: number('payload-bytes', values['payload-bytes']),
  });
  const { requests, qdrant } = costs;
  const rows: [string, string][] = [
    ['worker hours', shown(costs.workerHours)],
    ['hours by the clock', shown(costs.wallHours)],
    ...(price === undefined
      ? []
      : [['money for workers', shown(costs.workerHours * number('gpu-price', price))] as [string, string]]),
    ['images fetched', shown(requests.images)],
    ['  terabytes', shown(costs.imageTerabytes)],
    ['  gigabits a second', shown(costs.gigabitsPerSecond)],
    ['Supabase, pages of rows', shown(requests.supabaseReads)],
    ['Supabase, cutouts marked', shown(requests.supabaseMarks)],
    ['Supabase, progress', shown(requests.supabaseProgress)],
    ['Qdrant, writes', shown(requests.qdrantUpserts)],
    ['RunPod, posts and pings', shown(requests.runpod)],
    ['Qdrant, GiB of vectors', shown(qdrant.vectorsGiB)],
    ['  as one byte a number', shown(qdrant.quantisedGiB)],
    ['  GiB of graph links', shown(qdrant.linksGiB)],
    ['  GiB of payload', shown(qdrant.payloadGiB)],
  ];
  for (const [what, value] of rows) console.log(`${what.padEnd(26)}${value.padStart(14)}`);
}

/** Three digits of what is small, and whole numbers of the rest. */
function shown(value: number): string {
  return value.toLocaleString(
    'en-US',
    value < 100 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 },
  );
}

function number(name: string, text: string | undefined): number {
  const value = Number(text);
  if (text !== undefined && Number.isFinite(value) && value >= 0) return value;
  throw new TypeError(`--${name} is needed: expected a number from 0`);
}

function above0(name: string, text: string | undefined): number {
  const value = number(name, text);
  if (value > 0) return value;
  throw new TypeError(`--${name}: expected a number above 0`);
}
