/** A thread that reads decoded pictures and makes views of them. Started by pool.ts. */
import { openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

import { messageOf } from '../../base/errors.ts';
import type { Raster } from '../../image/resample.ts';
import { plainView, randomView } from '../augment/augment.ts';
import { mixPictures } from '../augment/mix.ts';
import type { FromPool, PoolThreadOptions, ToPool, ViewTask } from './pool-messages.ts';

const { path, memory } = workerData as PoolThreadOptions;
const file = openSync(path, 'r');

function read({ offset, width, height }: ViewTask): Raster {
  const length = width * height * 3;
  if (offset + length <= memory.length) {
    return { data: memory.subarray(offset, offset + length), width, height };
  }
  const data = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = readSync(file, data, done, length - done, offset + done);
    if (count === 0) throw new Error('the file of decoded pictures is shorter than it says');
    done += count;
  }
  return { data, width, height };
}

function work(task: ToPool): void {
  const { pixels, size } = task;
  if (task.type === 'mix') {
    mixPictures(pixels, task.count, size, task.plan);
    return;
  }
  const bytes = size.width * size.height * 3;
  for (const view of task.views) {
    const picture = read(view);
    const made =
      view.keys === null
        ? plainView(picture, size)
        : randomView(picture, { size, recipe: task.recipe, keys: view.keys });
    pixels.set(made, view.slot * bytes);
  }
}

parentPort?.on('message', (task: ToPool) => {
  const answer: FromPool = { id: task.id };
  try {
    work(task);
  } catch (error) {
    answer.error = messageOf(error);
  }
  parentPort?.postMessage(answer);
});
