import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { SILENT_LOG } from '../../src/base/log.ts';
import { readSettings } from '../../src/base/settings.ts';
import { extract } from '../../src/embedding/extract.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import { parseEmbeddingInput } from '../../src/embedding/input.ts';
import { leaseModel } from '../../src/embedding/job-model.ts';
import { createJobStats } from '../../src/embedding/job-stats.ts';
import { createSigner } from '../../src/job/sign.ts';
import { stagesOf } from '../../src/embedding/stages.ts';
import { createEmbeddingTools } from '../../src/embedding/tools.ts';
import { mapConcurrent } from '../../src/flow/streams.ts';
import { createHttp } from '../../src/http/http.ts';
import { createDecoder } from '../../src/image/decode.ts';
import { createImageSource } from '../../src/image/source.ts';
import type { EmbeddingModel } from '../../src/model/embedding-model.ts';
import { loadEmbeddingModel } from '../../src/model/load.ts';
import { pictureName } from './pictures.ts';
import { withCpu, type CpuUse } from './cpu.ts';
import { hubFolder, MODEL_TYPE, modelsFolder, picturesFolder, type Setup } from './setup.ts';
import { vitPreprocessing } from './vit-small.ts';

/** What a run came to. */
export interface Figures {
  images: number;
  seconds: number;
  cpu: CpuUse;
  /** 99 of 100 turns of the event loop were late by less than this. */
  delayP99Ms?: number;
  /** What the job says of itself. */
  told?: unknown;
}

export interface Variant {
  batchSize?: number;
  threads?: number;
  collections?: number;
}

/** Embeds so many images, in its own way. */
export type Contender = (images: number, variant: Variant) => Promise<Figures>;

/** Warmed up: the first images of a process cost more than all others. */
const CONTENDERS: Record<string, (setup: Setup) => Promise<Contender> | Contender> = {
  pipeline,
  inference,
  decoding,
  sequential,
  transformers,
};

export async function openContender(name: string, setup: Setup): Promise<Contender> {
  const open = CONTENDERS[name];
  if (open === undefined) throw new TypeError(`there is no contender ${name}`);
  return open(setup);
}

async function timed(setup: Setup, images: number, work: () => Promise<unknown>): Promise<Figures> {
  const { result: seconds, cpu } = await withCpu(setup.server, async () => {
    const begun = performance.now();
    await work();
    return (performance.now() - begun) / 1_000;
  });
  return { images, seconds, cpu };
}

const { signal } = new AbortController();
const CPU = { providers: ['cpu'], requireGpu: false, log: SILENT_LOG } as const;
const urlOf = ({ images, pictures }: Setup, i: number): string => `${images}/${pictureName(i % pictures)}`;

/** What the environment sets, so that sizes can be compared; without it, what a user gets who sets nothing. */
export function settingsFor(modelDir: string): ReturnType<typeof readSettings> {
  return readSettings({ ...process.env, ALLOW_PRIVATE_HOSTS: '1', HF_HUB_OFFLINE: '1', MODEL_DIR: modelDir });
}

/** The product as it comes; its vectors are thrown away. */
async function pipeline(setup: Setup): Promise<Contender> {
  const tools = createEmbeddingTools(settingsFor(modelsFolder(setup)));
  const sign = createSigner(undefined);
  const input = parseEmbeddingInput({
    model_type: MODEL_TYPE,
    images: [{ id: 1, url: urlOf(setup, 0), type: 'product' }],
  });
  const { model } = await leaseModel({ input, tools, sign, log: SILENT_LOG, signal });
  let job = 0;
  const run = async (count: number, collections: number): Promise<Figures> => {
    using stats = createJobStats();
    job += 1;
    const refs = Array.from({ length: count }, (_, i) =>
      refOf(i, `${urlOf(setup, i)}?job=${job}`, collections),
    );
    const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
    delay.enable();
    let written = 0;
    const figures = await timed(setup, count, () =>
      extract({
        ...stagesOf(tools, sign),
        images: refs,
        model,
        write: (_, some) => {
          written += some.length;
          return Promise.resolve();
        },
        fail: ({ error }) => {
          throw error;
        },
        repeated: () => undefined,
        unchanged: () => Promise.resolve(),
        stats,
        signal,
        drain: signal,
      }),
    );
    delay.disable();
    if (written !== count) throw new Error(`${written} of ${count} images were embedded`);
    // The histogram holds the time between two turns: the resolution, and how late the second one was.
    const delayP99Ms = Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS);
    return { ...figures, delayP99Ms, told: stats.tell(count, SILENT_LOG) };
  };
  await run(WARM_UP, 1);
  return (images, { collections = 1 }) => run(images, collections);
}

const DELAY_RESOLUTION_MS = 10;
const WARM_UP = 16;

export function refOf(i: number, url: string, collections: number): ImageRef {
  const collection = `c${i % collections}`;
  return { id: `${i}`, pointId: i, collection, type: 'product', url, storage: null, metadata: {} };
}

/** The rewritten model alone, in the product's own thread: one session, batch after batch of the same pictures. */
function inference(setup: Setup): Contender {
  let loaded: { key: string; model: EmbeddingModel } | undefined;
  const side = vitPreprocessing.crop?.width ?? 0;
  const pixelsOf = (count: number): Uint8Array =>
    Uint8Array.from({ length: count * side * side * 3 }, (_, i) => (i * 7) % 251);
  const load = async (batchSize: number, threads: number): Promise<EmbeddingModel> => {
    const key = `${batchSize} ${threads}`;
    if (loaded?.key === key) return loaded.model;
    await loaded?.model.close();
    const where = { modelType: MODEL_TYPE, modelDir: modelsFolder(setup) } as const;
    const model = await loadEmbeddingModel({ ...CPU, ...where, batchSize, threads, sessions: 1 });
    await model.embed(pixelsOf(batchSize), batchSize);
    loaded = { key, model };
    return model;
  };
  return async (images, { batchSize = 1, threads = 1 }) => {
    const model = await load(batchSize, threads);
    const pixels = pixelsOf(batchSize);
    const batches = Math.ceil(images / batchSize);
    return timed(setup, batches * batchSize, async () => {
      // Two at a time, so that the thread never waits for this one.
      const all = Array.from({ length: batches }, (_, i) => i);
      for await (const _ of mapConcurrent(all, 2, () => model.embed(pixels, batchSize)));
    });
  };
}

async function decoding(setup: Setup): Promise<Contender> {
  const files = await readPictures(setup);
  const decode = createDecoder();
  const run: Contender = (images) => {
    const all = Array.from({ length: images }, (_, i) => files[i % files.length] ?? new Uint8Array());
    return timed(setup, images, async () => {
      const decoded = mapConcurrent(all, availableParallelism(), (bytes) => decode(bytes, vitPreprocessing));
      for await (const _ of decoded);
    });
  };
  await run(WARM_UP, {});
  return run;
}

/** Download, decode, embed, and only then the next image; the model on all cores. */
async function sequential(setup: Setup): Promise<Contender> {
  const source = createImageSource({ http: createHttp({ allowPrivateHosts: true }) });
  const decode = createDecoder();
  const threads = availableParallelism();
  const where = { modelType: MODEL_TYPE, modelDir: modelsFolder(setup) } as const;
  const model = await loadEmbeddingModel({ ...CPU, ...where, batchSize: 1, threads, sessions: 1 });
  const run: Contender = (images) =>
    timed(setup, images, async () => {
      for (let i = 0; i < images; i += 1) {
        const { bytes } = await source.read(urlOf(setup, i));
        await model.embed(await decode(bytes, vitPreprocessing), 1);
      }
    });
  await run(2, {});
  return run;
}

interface Transformers {
  env: { allowRemoteModels: boolean; localModelPath: string };
  pipeline: (
    task: 'image-feature-extraction',
    model: string,
    options: { dtype: 'fp32'; device: 'cpu' },
  ) => Promise<(images: string[]) => Promise<{ dims: number[] }>>;
}

const TRANSFORMERS_BATCH = 8;
/** In bench/package.json, which need not be installed to check this file. */
const TRANSFORMERS = ['@huggingface', 'transformers'].join('/');

/** Its own pipeline, from files on the disk. */
async function transformers(setup: Setup): Promise<Contender> {
  const { env, pipeline: open } = (await import(TRANSFORMERS)) as Transformers;
  env.allowRemoteModels = false;
  env.localModelPath = hubFolder(setup);
  const embed = await open('image-feature-extraction', 'vit-small', { dtype: 'fp32', device: 'cpu' });
  const path = (i: number): string => join(picturesFolder(setup), pictureName(i % setup.pictures));
  const run: Contender = (images) =>
    timed(setup, images, async () => {
      for (let i = 0; i < images; i += TRANSFORMERS_BATCH) {
        const count = Math.min(TRANSFORMERS_BATCH, images - i);
        const { dims } = await embed(Array.from({ length: count }, (_, k) => path(i + k)));
        if (dims[0] !== count) throw new Error(`${dims.join(' x ')} came back for ${count} images`);
      }
    });
  await run(TRANSFORMERS_BATCH, {});
  return run;
}

async function readPictures(setup: Setup): Promise<Uint8Array[]> {
  const folder = picturesFolder(setup);
  return Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))));
}
