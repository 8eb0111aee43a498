import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { SILENT_LOG, type Log, type LogFields } from '../../src/base/log.ts';
import type { Preprocessing } from '../../src/image/preprocessing.ts';
import type { LoadOptions } from '../../src/model/load.ts';
import { processorConfig } from '../../src/model/processor.ts';
import type { SessionOptions } from '../../src/model/session.ts';
import type { Chosen, InferenceSizes } from '../../src/model/sizes.ts';
import { randomNumbers } from '../../src/model/small/random.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';

export const SIDE = 32;

/** ImageNet's numbers on a picture of 32 × 32. */
export const SMALL: Preprocessing = {
  resize: { kind: 'exact', width: SIDE, height: SIDE },
  resample: 'bicubic',
  crop: null,
  rescale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  rescaleBeforeResize: false,
  orient: true,
  alpha: 'drop',
};

export const CPU: Pick<LoadOptions, 'providers' | 'requireGpu' | 'log'> = {
  providers: ['cpu'],
  requireGpu: false,
  log: SILENT_LOG,
};

/** As a model tells them. */
export function chosenSizes(batchSize: number, { sessions = 1 } = {}): InferenceSizes {
  const chosen = (value: number): Chosen => ({ value, from: 'set' });
  return { sessions: chosen(sessions), threads: chosen(1), batchSize: chosen(batchSize) };
}

/** The same for every provider. */
export function sized(batchSize: number, more: { sessions?: number } = {}): Pick<SessionOptions, 'sizes'> {
  const sizes = chosenSizes(batchSize, more);
  return { sizes: { cuda: sizes, webgpu: sizes, cpu: sizes } };
}

export interface Folder extends AsyncDisposable {
  path: string;
  write(name: string, content: Uint8Array | string): Promise<string>;
}

/** A folder that is gone after the test. */
export async function folder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'model-test-'));
  return {
    path,
    write: async (name, content) => {
      const file = join(path, name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
      return file;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** A MODEL_DIR with this one model. */
export async function modelFolder(type: string, model: OnnxModel, preprocessing = SMALL): Promise<Folder> {
  const models = await folder();
  await models.write(`${type}/model.onnx`, writeModel(model));
  await models.write(`${type}/preprocessor_config.json`, JSON.stringify(processorConfig(preprocessing)));
  return models;
}

export function randomPixels(count: number, seed = 7, side = SIDE): Uint8Array {
  const random = randomNumbers(seed);
  return Uint8Array.from({ length: count * side * side * 3 }, () => Math.floor((random() + 1) * 128));
}

/** What the original graph says of the same pictures, normalised by plain arithmetic to float32 NCHW. */
export async function plainRun(
  model: OnnxModel,
  output: string,
  pixels: Uint8Array,
  count: number,
  p: Preprocessing = SMALL,
  side = SIDE,
): Promise<{ data: Float32Array; dims: readonly number[] }> {
  const plane = side * side;
  const input = new Float32Array(count * 3 * plane);
  for (let image = 0; image < count; image++) {
    for (let at = 0; at < plane; at++) {
      for (let c = 0; c < 3; c++) {
        const value = (pixels[(image * plane + at) * 3 + c] ?? NaN) * p.rescale;
        input[(image * 3 + c) * plane + at] = (value - (p.mean[c] ?? NaN)) / (p.std[c] ?? NaN);
      }
    }
  }
  const session = await InferenceSession.create(writeModel(model));
  try {
    const given = session.inputNames.includes('input_ids')
      ? { input_ids: new Tensor('int64', new BigInt64Array(4), [1, 4]) }
      : {};
    const results = await session.run({
      pixel_values: new Tensor('float32', input, [count, 3, side, side]),
      ...given,
    });
    const result = results[output];
    if (result === undefined) throw new Error(`no output ${output}`);
    return { data: result.data as Float32Array, dims: result.dims };
  } finally {
    await session.release();
  }
}

/** The class token of `[count, tokens, dim]`, or the rows of `[count, dim]`, brought to length 1. */
export function unitRows({ data, dims }: { data: Float32Array; dims: readonly number[] }): number[][] {
  const [count = 0, second = 0, third] = dims;
  const dim = third ?? second;
  const step = third === undefined ? dim : second * dim;
  return Array.from({ length: count }, (_, i) => {
    const row = Array.from(data.subarray(i * step, i * step + dim));
    const norm = Math.hypot(...row);
    return row.map((v) => v / norm);
  });
}

export function rowsOf(vectors: Float32Array, dim: number): number[][] {
  return Array.from({ length: vectors.length / dim }, (_, i) =>
    Array.from(vectors.subarray(i * dim, (i + 1) * dim)),
  );
}

export function maxDifference(a: readonly number[][], b: readonly number[][]): number {
  if (a.length !== b.length) return Infinity;
  return Math.max(...a.flatMap((row, i) => row.map((v, j) => Math.abs(v - (b[i]?.[j] ?? NaN)))));
}

/** A log that keeps its lines. */
export function keptLog(): Log & { lines: { level: string; message: string; fields: LogFields }[] } {
  const lines: { level: string; message: string; fields: LogFields }[] = [];
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void =>
      void lines.push({ level, message, fields });
  const log = { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { ...log, child: () => ({ ...log, child: () => SILENT_LOG }) };
}

/** A graph that embeds black pictures and fails in its run on any other: it looks up a row that is not there. */
export function failingOnLight(): { model: Uint8Array; inputName: string; outputName: string } {
  const g = graphBuilder({ name: 'failing' });
  const x = g.input('pixels', 'uint8', ['batch', SIDE, SIDE, 3]);
  const numbers = g.node('Cast', [x], { attributes: { to: 1 } });
  const largest = g.node('ReduceMax', [numbers], { attributes: { axes: [1, 2, 3], keepdims: 0 } });
  const row = g.node('Cast', [largest], { attributes: { to: 7 } });
  const rows = g.constant(Float32Array.of(0.6, 0.8, 0), [1, 3]);
  g.output(g.node('Gather', [rows, row], { attributes: { axis: 0 } }), 'float32', ['batch', 3], 'vectors');
  return { model: writeModel(g.toModel()), inputName: 'pixels', outputName: 'vectors' };
}
