/** What an image leaves behind: heap and external memory in use while a long job runs, in a process of its own. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { SILENT_LOG } from '../../src/base/log.ts';
import { extract } from '../../src/embedding/extract.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import { parseEmbeddingInput } from '../../src/embedding/input.ts';
import { leaseModel } from '../../src/embedding/job-model.ts';
import { createJobStats } from '../../src/embedding/job-stats.ts';
import { createSigner } from '../../src/job/sign.ts';
import { stagesOf } from '../../src/embedding/stages.ts';
import { createEmbeddingTools } from '../../src/embedding/tools.ts';
import { refOf, settingsFor } from './contenders.ts';
import { MODEL_TYPE, tinyModelsFolder, type Setup } from './setup.ts';

const SELF = fileURLToPath(import.meta.url);
/** By then every window and pool has its size. */
const FIRST = 12_000;
const SECOND = 36_000;
/** The job goes on behind the second look: both find as much under way. */
const ALL = 38_000;
/** All stages are full after less. */
const FILL_MS = 500;

export interface MemoryFigures {
  bytesPerImage: number;
  /** In use at the two looks. */
  first: number;
  second: number;
}

/** `scale`: the share of the images, for a quick look. */
export async function measureMemory(setup: Setup, scale: number): Promise<MemoryFigures> {
  const child = fork(SELF, [JSON.stringify(setup), String(scale)], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  const [figures] = (await Promise.race([once(child, 'message'), ended.then(() => [])])) as [MemoryFigures?];
  await ended;
  if (figures === undefined) throw new Error('the memory run ended before its time: see above');
  return figures;
}

async function run(setup: Setup, scale: number): Promise<MemoryFigures> {
  await using tools = createEmbeddingTools(settingsFor(tinyModelsFolder(setup)));
  const sign = createSigner(undefined);
  const { signal } = new AbortController();
  const input = parseEmbeddingInput({
    model_type: MODEL_TYPE,
    images: [{ id: 1, url: `${setup.images}/tiny/0`, type: 'product' }],
  });
  await using lease = await leaseModel({ input, tools, sign, log: SILENT_LOG, signal });
  using stats = createJobStats();
  const looks: number[] = [];
  const due = [FIRST, SECOND].map((images) => images * scale);
  let written = 0;
  let looking: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    looks.push(await inUse());
    looking = undefined;
  };
  await extract({
    ...stagesOf(tools, sign),
    images: refs(setup, ALL * scale),
    model: lease.model,
    write: async (_, some) => {
      written += some.length;
      if (looking === undefined && written >= (due[looks.length] ?? Infinity)) looking = look();
      await looking;
    },
    fail: ({ error }) => {
      throw error;
    },
    repeated: () => undefined,
    unchanged: () => Promise.resolve(),
    stats,
    signal,
    drain: signal,
  });
  const [first = NaN, second = NaN] = looks;
  return { bytesPerImage: (second - first) / ((SECOND - FIRST) * scale), first, second };
}

function* refs({ images }: Setup, count: number): Generator<ImageRef> {
  for (let i = 0; i < count; i += 1) yield refOf(i, `${images}/tiny/${i}.png`, 1);
}

/** While nothing is written every stage fills up to its bound, so that each look finds as much under way. */
async function inUse(): Promise<number> {
  for (let i = 0; i < 3; i += 1) {
    await sleep(FILL_MS);
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

if (process.argv[1] === SELF) {
  const [, , setup = '', scale = '1'] = process.argv;
  process.send?.(await run(JSON.parse(setup) as Setup, Number(scale)));
  process.disconnect();
}
