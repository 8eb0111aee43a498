import { createHash, type Hash } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { z } from 'zod';

import { messageOf, ModelError } from '../base/errors.ts';
import type { SamplerPosition } from './sampler.ts';
import type { TrainerState } from './trainer.ts';

/** A run at rest: all that it continues from. */
export interface Checkpoint {
  trainer: TrainerState;
  sampler: SamplerPosition;
  /** What else the caller needs (metrics so far, best epoch), as JSON. */
  rest: unknown;
}

const VERSION = '1';
const LENGTH_BYTES = 8;
/** Data begin where a typed array may. */
const ALIGNMENT = 8;
/** As safetensors' own readers: a longer header is no header. */
const MAX_HEADER_BYTES = 100_000_000;
/** One read or write; the system's calls end at 2 GiB. */
const CHUNK_BYTES = 64 * 2 ** 20;
const NO_HASH = '0'.repeat(64);

const size = z.number().int().nonnegative();
const VECTOR = z.object({
  dtype: z.literal('F32'),
  shape: z.tuple([size]),
  data_offsets: z.tuple([size, size]),
});
type VectorEntry = z.infer<typeof VECTOR>;
const METADATA = z.object({
  gpu_handlers_checkpoint: z.literal(VERSION),
  sha256: z.string(),
  state: z.string(),
});
const HEADER = z.looseObject({ __metadata__: METADATA }).transform(({ __metadata__, ...vectors }) => ({
  metadata: __metadata__,
  vectors: z.record(z.string(), VECTOR).parse(vectors),
}));
interface Header {
  metadata: z.infer<typeof METADATA>;
  vectors: Record<string, VectorEntry>;
}
const STATE = z.object({
  trainer: z.object({
    configuration: z.string(),
    step: size,
    microBatch: size,
    random: z.array(z.number()),
  }),
  sampler: z.object({ epoch: size, taken: size }),
  rest: z.unknown(),
});

/**
 * Writes the checkpoint as one file: under a passing name, synced to the disk, then renamed, so that `path` is at any
 * moment the old checkpoint or the new one, whole. The format is safetensors (a length, a JSON header, the vectors),
 * with the run's state and a SHA-256 over everything in the header's metadata.
 */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const header = headerOf(checkpoint);
  const vectors = Object.values(checkpoint.trainer.vectors);
  const hash = createHash('sha256').update(headerBytes(header));
  for (const vector of vectors) for (const chunk of chunksOf(bytesOf(vector))) hash.update(chunk);
  header.metadata.sha256 = hash.digest('hex');
  // Always the same name: what a killed process left of it is written over.
  const passing = `${path}.part`;
  try {
    const file = await open(passing, 'w');
    try {
      await file.writeFile(headerBytes(header));
      for (const vector of vectors)
        for (const chunk of chunksOf(bytesOf(vector))) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(passing, path);
  } catch (cause) {
    await rm(passing, { force: true });
    throw new ModelError(
      'checkpoint_not_written',
      `could not write the checkpoint ${path}: ${messageOf(cause)}`,
      { cause },
    );
  }
  await syncFolder(dirname(path));
}

/**
 * The checkpoint in this file.
 * @param configuration Of the run that goes on; one of another is refused.
 * @throws ModelError `checkpoint_missing`, `checkpoint_truncated`, `checkpoint_damaged`, `checkpoint_mismatch`.
 */
export async function readCheckpoint(path: string, configuration?: string): Promise<Checkpoint> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new ModelError('checkpoint_missing', `there is no checkpoint file ${path}`, { cause });
  });
  try {
    const { size } = await file.stat();
    const { text, dataAt } = await readHeader(file, path, size);
    const header = parse(HEADER, text, path);
    const { sha256, state: stateText } = header.metadata;
    const state = parse(STATE, stateText, path);
    if (configuration !== undefined && state.trainer.configuration !== configuration) {
      throw mismatch(path, state.trainer.configuration, configuration);
    }
    const entries = Object.entries(header.vectors);
    const expected =
      dataAt + entries.reduce((sum, [, { shape }]) => sum + shape[0] * Float32Array.BYTES_PER_ELEMENT, 0);
    if (size < expected) throw truncated(path, size, expected);
    const hash = createHash('sha256').update(withoutHash(text, sha256));
    const vectors: Record<string, Float32Array> = {};
    let at = dataAt;
    for (const [name, { shape }] of entries) {
      vectors[name] = await readVector(file, { at, length: shape[0], hash });
      at += shape[0] * Float32Array.BYTES_PER_ELEMENT;
    }
    if (size !== expected || hash.digest('hex') !== sha256) {
      throw damaged(path, 'its checksum does not fit its content');
    }
    return { ...state, trainer: { ...state.trainer, vectors } };
  } finally {
    await file.close();
  }
}

function headerOf({ trainer, ...others }: Checkpoint): Header {
  const { vectors, ...state } = trainer;
  const entries: Record<string, VectorEntry> = {};
  let offset = 0;
  for (const [name, { length }] of Object.entries(vectors)) {
    const end = offset + length * Float32Array.BYTES_PER_ELEMENT;
    entries[name] = { dtype: 'F32', shape: [length], data_offsets: [offset, end] };
    offset = end;
  }
  const metadata = {
    gpu_handlers_checkpoint: VERSION,
    sha256: NO_HASH,
    state: JSON.stringify({ ...others, trainer: state }),
  } as const;
  return { metadata, vectors: entries };
}

function headerBytes({ metadata, vectors }: Header): Uint8Array {
  const text = JSON.stringify({ __metadata__: metadata, ...vectors });
  const padding = (ALIGNMENT - (Buffer.byteLength(text) % ALIGNMENT)) % ALIGNMENT;
  return withLength(text + ' '.repeat(padding));
}

function withLength(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}

/** The header's bytes as they were when the hash was taken. */
function withoutHash(text: string, sha256: string): Uint8Array {
  return withLength(text.replace(`"sha256":"${sha256}"`, `"sha256":"${NO_HASH}"`));
}

async function readHeader(
  file: FileHandle,
  path: string,
  size: number,
): Promise<{ text: string; dataAt: number }> {
  const prefix = await readExactly(file, 0, Math.min(size, LENGTH_BYTES));
  if (prefix.length < LENGTH_BYTES) throw truncated(path, size, LENGTH_BYTES);
  const length = Number(prefix.readBigUInt64LE());
  if (length > MAX_HEADER_BYTES) throw damaged(path, 'it does not begin as a checkpoint');
  const dataAt = LENGTH_BYTES + length;
  if (size < dataAt) throw truncated(path, size, dataAt);
  return { text: (await readExactly(file, LENGTH_BYTES, length)).toString(), dataAt };
}

async function readVector(
  file: FileHandle,
  { at, length, hash }: { at: number; length: number; hash: Hash },
): Promise<Float32Array> {
  const vector = new Float32Array(length);
  let position = at;
  for (const chunk of chunksOf(bytesOf(vector))) {
    await fill(file, chunk, position);
    hash.update(chunk);
    position += chunk.length;
  }
  return vector;
}

async function readExactly(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  await fill(file, bytes, at);
  return bytes;
}

async function fill(file: FileHandle, into: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, at + done);
    if (bytesRead === 0)
      throw new ModelError('checkpoint_truncated', 'the checkpoint ended while it was read');
    done += bytesRead;
  }
}

function* chunksOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** A rename is on the disk once its folder is; where folders cannot be synced, the system does it in its time. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function parse<T>(schema: z.ZodType<T>, text: string, path: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(path, 'its header is none that this version of gpu-handlers wrote', cause);
  }
}

function mismatch(path: string, found: string, expected: string): ModelError {
  const [theirs, ours] = [found, expected].map((hash) => hash.slice(0, 12));
  return new ModelError(
    'checkpoint_mismatch',
    `the checkpoint ${path} is of another configuration (${theirs ?? ''}, this run is ${ours ?? ''}): resume with the ` +
      'same model, classes, strategy, loss and optimiser, or start anew',
  );
}

function truncated(path: string, size: number, expected: number): ModelError {
  return new ModelError(
    'checkpoint_truncated',
    `the checkpoint ${path} is cut off: ${String(size)} of ${String(expected)} bytes; use an older one, or start anew`,
  );
}

function damaged(path: string, why: string, cause?: unknown): ModelError {
  return new ModelError('checkpoint_damaged', `the checkpoint ${path} cannot be used: ${why}`, { cause });
}
