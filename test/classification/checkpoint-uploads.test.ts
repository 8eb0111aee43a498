import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { HandlerError, StoppedError } from '../../src/base/errors.ts';
import { createLog } from '../../src/base/log.ts';
import type { ArtefactStore } from '../../src/classification/artefacts.ts';
import { checkpointUploads, type CheckpointUploads } from '../../src/classification/checkpoint-uploads.ts';
import { abortable } from '../../src/flow/time.ts';
import { temporaryFolder } from '../support/folder.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let path: string;
let messages: string[];
/** What the store was given, as it read it when it was let through. */
let stored: string[];
let letThrough: PromiseWithResolvers<undefined>;
let begun: PromiseWithResolvers<undefined>;

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder.path, 'checkpoint.safetensors');
  [messages, stored] = [[], []];
  [letThrough, begun] = [Promise.withResolvers(), Promise.withResolvers()];
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

const slow: Pick<ArtefactStore, 'put'> = {
  async put(name, file, signal) {
    begun.resolve(undefined);
    await abortable(letThrough.promise, signal);
    stored.push(await readFile(file, 'utf8'));
    return { url: `cls-models/run/${name}`, bytes: 1, sha256: '' };
  },
};

function uploads(artefacts = slow, intervalMs = 0): CheckpointUploads {
  const log = createLog({
    write: (line) => messages.push((JSON.parse(line) as { message: string }).message),
  });
  return checkpointUploads({ artefacts, intervalMs, log, signal: new AbortController().signal });
}

/** As checkpoints are written: under a passing name, then renamed. */
async function write(text: string): Promise<void> {
  await writeFile(`${path}.part`, text);
  await rename(`${path}.part`, path);
}

const left = async (): Promise<string[]> => (await readdir(folder.path)).sort();

test('a checkpoint that is replaced while it is on its way arrives as it was', async () => {
  await using offered = uploads();
  await write('first');
  offered.offer(path);
  await begun.promise;
  await write('second');
  // One at a time: this one has to wait for another offer.
  offered.offer(path);
  letThrough.resolve(undefined);
  while (stored.length === 0) await new Promise(setImmediate);
  expect(stored).toEqual(['first']);
  expect(await readFile(path, 'utf8')).toBe('second');
});

test('before the interval is over none is uploaded', async () => {
  await using offered = uploads(slow, 60_000);
  await write('first');
  letThrough.resolve(undefined);
  offered.offer(path);
  expect(await left()).toEqual(['checkpoint.safetensors']);
  expect(stored).toEqual([]);
});

test('the last one takes the place of the one under way, and is not overtaken by it', async () => {
  await using offered = uploads();
  await write('first');
  offered.offer(path);
  await begun.promise;
  await write('last');
  const last = offered.last(path, new AbortController().signal);
  letThrough.resolve(undefined);
  await last;
  expect(stored.at(-1)).toBe('last');
  expect(await left()).toEqual(['checkpoint.safetensors']);
  expect(messages).toContain('[Checkpoint] stored in the bucket');
});

test('what ends with the run leaves no second name behind, and is no failure', async () => {
  const offered = uploads();
  await write('first');
  offered.offer(path);
  await begun.promise;
  await offered[Symbol.asyncDispose]();
  expect(await left()).toEqual(['checkpoint.safetensors']);
  expect(stored).toEqual([]);
  expect(messages).toEqual([]);
});

test('a store that refuses is a warning, and the next one is tried again', async () => {
  let refused = 0;
  await using offered = uploads({
    put: () => {
      refused += 1;
      return Promise.reject(new HandlerError('supabase_413', 'too large'));
    },
  });
  await write('first');
  await offered.last(path, new AbortController().signal);
  await offered.last(path, new AbortController().signal);
  expect(refused).toBe(2);
  expect(messages).toEqual(new Array(2).fill('the checkpoint could not be stored in the bucket'));
});

test('a stop with a time limit is kept to', async () => {
  await using offered = uploads();
  await write('first');
  const limit = new AbortController();
  const last = offered.last(path, limit.signal);
  await begun.promise;
  limit.abort(new StoppedError('shutdown', 'no time left'));
  await last;
  expect(stored).toEqual([]);
  expect(await left()).toEqual(['checkpoint.safetensors']);
});
