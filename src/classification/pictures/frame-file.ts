import { createHash } from 'node:crypto';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { HandlerError } from '../../base/errors.ts';
import type { Raster } from '../../image/resample.ts';

/** One decoded picture in the file: RGB bytes, rows first. */
export interface Frame {
  offset: number;
  width: number;
  height: number;
  /** sha256 of the picture's file, hex. */
  content: string;
}

/**
 * Decoded pictures on the disk, each once: one file of bytes, and one that says where each picture lies. What a run that
 * was killed has written is there for the next one.
 */
export interface FrameFile extends AsyncDisposable {
  /** Of the bytes: other threads read it too. */
  readonly path: string;
  /** The first bytes of the file, as far as memory was given for them. */
  readonly memory: Uint8Array<SharedArrayBuffer>;
  /** Of all pictures. */
  readonly bytes: number;
  /** `key`: whatever names the picture. */
  get(key: string): Frame | undefined;
  /** A picture of the same content is not written again. @throws HandlerError `cache_disk_full` */
  add(key: string, picture: Raster, content: string): Promise<Frame>;
  read(frame: Frame): Promise<Raster>;
  close(): Promise<void>;
}

export interface FrameFileOptions {
  folder: string;
  /** What the bytes depend on besides the pictures: of another decoding nothing is used again. */
  decoding: string;
  /** Bytes of the file that are held in memory too. */
  memoryBytes: number;
}

const BYTES_FILE = 'pictures.bin';
const INDEX_FILE = 'pictures.jsonl';
/** Hex digits that name a picture in the index. */
const KEY_CHARS = 32;

interface Entry extends Frame {
  key: string;
}

export async function openFrameFile({ folder, decoding, memoryBytes }: FrameFileOptions): Promise<FrameFile> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, BYTES_FILE);
  const bytes = await open(path, 'a+').then(async (made) => {
    await made.close();
    return open(path, 'r+');
  });
  const index = await open(join(folder, INDEX_FILE), 'a+');
  const frames = new Map<string, Frame>();
  const byContent = new Map<string, Frame>();
  const memory = new Uint8Array(new SharedArrayBuffer(memoryBytes));
  let end = 0;

  const keep = ({ key, ...frame }: Entry): Frame => {
    frames.set(key, frame);
    byContent.set(frame.content, frame);
    end = Math.max(end, frame.offset + sizeOf(frame));
    return frame;
  };
  for (const entry of await readIndex(index, decoding, (await bytes.stat()).size)) keep(entry);
  // What was written without a word in the index is written over.
  await bytes.truncate(end);
  await readInto(bytes, memory.subarray(0, Math.min(end, memory.length)), 0);

  let noting = Promise.resolve();
  const note = (entry: Entry): Promise<void> => {
    noting = noting.then(() => index.appendFile(`${JSON.stringify(entry)}\n`));
    return noting;
  };

  const close = async (): Promise<void> => {
    await noting.catch(() => undefined);
    await Promise.all([bytes.close(), index.close()]);
  };
  return {
    path,
    memory,
    get bytes() {
      return end;
    },
    get: (key) => frames.get(shortKey(key)),
    async add(key, picture, content) {
      const { width, height, data } = picture;
      const same = byContent.get(content);
      if (same !== undefined) {
        const entry = { key: shortKey(key), ...same };
        await onFullDisk(path, note(entry));
        return keep(entry);
      }
      const frame: Frame = { offset: end, width, height, content };
      end += sizeOf(frame);
      await onFullDisk(path, writeAll(bytes, data, frame.offset));
      if (frame.offset < memory.length) {
        memory.set(data.subarray(0, memory.length - frame.offset), frame.offset);
      }
      const entry = { key: shortKey(key), ...frame };
      await onFullDisk(path, note(entry));
      return keep(entry);
    },
    async read(frame) {
      const data = new Uint8Array(sizeOf(frame));
      await readInto(bytes, data, frame.offset);
      return { data, width: frame.width, height: frame.height };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function sizeOf({ width, height }: { width: number; height: number }): number {
  return width * height * 3;
}

function shortKey(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, KEY_CHARS);
}

/** The entries whose bytes are there; the index is emptied where they are of another decoding. */
async function readIndex(index: FileHandle, decoding: string, size: number): Promise<Entry[]> {
  const text = await index.readFile('utf8');
  // A line that its writer did not finish is none.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const [first, ...lines] = whole.split('\n').filter((line) => line !== '');
  if (first === undefined || first !== JSON.stringify({ decoding })) {
    await index.truncate(0);
    await index.appendFile(`${JSON.stringify({ decoding })}\n`);
    return [];
  }
  if (whole.length < text.length) await index.truncate(Buffer.byteLength(whole));
  return lines
    .map((line) => JSON.parse(line) as Entry)
    .filter((entry) => entry.offset + sizeOf(entry) <= size);
}

async function writeAll(file: FileHandle, data: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    done += (await file.write(data, done, data.length - done, offset + done)).bytesWritten;
  }
}

async function readInto(file: FileHandle, data: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesRead } = await file.read(data, done, data.length - done, offset + done);
    if (bytesRead === 0)
      throw new HandlerError('internal', 'the file of decoded pictures is shorter than it says');
    done += bytesRead;
  }
}

async function onFullDisk(path: string, writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') throw cause;
    throw new HandlerError(
      'cache_disk_full',
      `there is no room left on the disk for decoded pictures (${path}); give the worker a larger disk, ` +
        'or set TMPDIR to a folder on one',
      { cause },
    );
  }
}
