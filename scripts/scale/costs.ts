/** What a run costs, from what one worker does: no number of it is measured here. */
export interface ScaleInputs {
  images: number;
  /** Of the images, those that are cutouts; the rest are pictures of products. */
  cutoutShare: number;
  imagesPerProduct: number;
  /** Images a second of one worker. */
  rate: number;
  workers: number;
  shards: number;
  /** From a worker's start to its first image. */
  startSeconds: number;
  /** Of a picture's file, on average. */
  imageBytes: number;
  /** Numbers of a vector. */
  dim: number;
  /** Of a point's payload as JSON. */
  payloadBytes: number;
}

export interface Requests {
  images: number;
  /** Pages of rows, read twice: to count, and to embed. */
  supabaseReads: number;
  /** Cutouts' rows. */
  supabaseMarks: number;
  /** The jobs' rows. */
  supabaseProgress: number;
  qdrantUpserts: number;
  /** Progress and pings of workers, their takes and results. */
  runpod: number;
}

export interface Costs {
  workerHours: number;
  wallHours: number;
  /** While all workers work. */
  gigabitsPerSecond: number;
  imageTerabytes: number;
  requests: Requests;
  qdrant: {
    vectorsGiB: number;
    /** One byte a number, kept in memory beside vectors on disk. */
    quantisedGiB: number;
    linksGiB: number;
    payloadGiB: number;
  };
}

/** As in src: rows of a page, products of one that follows with more, points of a write, cutouts of a mark. */
const PAGE = 1_000;
const WRITE = 128;
/** Posts of a worker: progress each second, a ping each ten. */
const PROGRESS_A_SECOND = 1;
const PINGS_A_SECOND = 0.1;
/** Qdrant's graph: m neighbours, twice as many on its lowest level, of four bytes each. */
const HNSW_M = 16;
const LINK_BYTES = 2 * HNSW_M * 4;
const GIB = 2 ** 30;

export function costsOf(inputs: ScaleInputs): Costs {
  const { images, rate, shards, startSeconds, imageBytes, dim, payloadBytes } = inputs;
  const workers = Math.min(inputs.workers, shards);
  const workingSeconds = images / rate;
  const workerSeconds = workingSeconds + workers * startSeconds;
  return {
    workerHours: workerSeconds / 3_600,
    wallHours: workerSeconds / workers / 3_600,
    gigabitsPerSecond: (rate * workers * imageBytes * 8) / 1e9,
    imageTerabytes: (images * imageBytes) / 1e12,
    requests: requestsOf(inputs, workingSeconds),
    qdrant: {
      vectorsGiB: (images * dim * 4) / GIB,
      quantisedGiB: (images * dim) / GIB,
      linksGiB: (images * LINK_BYTES) / GIB,
      payloadGiB: (images * payloadBytes) / GIB,
    },
  };
}

/** A page that is not full is followed by an empty one. */
export function requestsOf(
  { images, cutoutShare, imagesPerProduct, shards }: ScaleInputs,
  workingSeconds: number,
): Requests {
  const cutouts = images * cutoutShare;
  const products = (images - cutouts) / imagesPerProduct;
  const pages = (rows: number): number => (rows === 0 ? 0 : shards * (Math.ceil(rows / shards / PAGE) + 1));
  const writes = (points: number): number => shards * Math.ceil(points / shards / WRITE);
  return {
    images,
    supabaseReads: 2 * (pages(products) + pages(cutouts)),
    supabaseMarks: writes(cutouts),
    supabaseProgress: workingSeconds * PROGRESS_A_SECOND,
    qdrantUpserts: writes(images - cutouts) + writes(cutouts),
    runpod: 2 * shards + workingSeconds * (PROGRESS_A_SECOND + PINGS_A_SECOND),
  };
}
