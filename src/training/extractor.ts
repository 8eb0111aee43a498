import { join } from 'node:path';

import type { GraphHost } from '../model/graph-host.ts';
import { outputSize, type Preprocessing } from '../image/preprocessing.ts';
import { loadModel } from '../onnx/load-model.ts';
import { toEmbeddingModel } from '../onnx/rewrite.ts';
import type { Backbone } from './backbone.ts';
import { misfit, show } from './dims.ts';
import { planMicroBatch, rowsOf } from './micro-batch.ts';
import { writeModelFiles } from './write-model.ts';

/** A file as it is, from pixels to its pooled output. */
export interface Extractor {
  /** Length of the output. */
  readonly length: number;
  /** `[count, height, width, 3]` bytes to `[count, length]`. */
  run(pixels: Uint8Array, count: number, signal?: AbortSignal): Promise<Float32Array>;
}

export interface ExtractorOptions {
  /** Of its graph in the host. */
  name: string;
  /** The file. */
  path: string;
  /** Where the rewritten graph goes while it is used. */
  folder: string;
  source: Pick<Backbone, 'input' | 'output' | 'pooling'>;
  preprocessing: Preprocessing;
}

/** Rows of the first graph, which tells the time of a row, and of the largest one. */
const TRIAL_ROWS = 8;
const MOST_ROWS = 64;

/** @throws ModelError `model_mismatch`, `graph_invalid` where the output is not one row a picture. */
export async function loadExtractor(host: GraphHost, options: ExtractorOptions): Promise<Extractor> {
  const trial = await loadAt(host, options, TRIAL_ROWS);
  const rows = planMicroBatch(MOST_ROWS, trial.runMs / TRIAL_ROWS);
  const { length, input, output } = rows === TRIAL_ROWS ? trial : await loadAt(host, options, rows);
  const { height, width } = outputSize(options.preprocessing);
  const rowLength = height * width * 3;
  return {
    length,
    run: async (pixels, count, signal) => {
      if (pixels.length !== count * rowLength) {
        throw misfit(
          `${String(count)} pictures are ${String(count * rowLength)} bytes, not ${String(pixels.length)}`,
        );
      }
      const all = new Float32Array(count * length);
      for (let at = 0; at < count; at += rows) {
        signal?.throwIfAborted();
        const data = rowsOf({ data: pixels, length: rowLength }, at, rows);
        const answer = await host.run({
          graph: options.name,
          feeds: { [input]: { data, dims: [rows, height, width, 3] } },
          returns: [output],
        });
        const found = answer[output]?.data as Float32Array;
        all.set(found.subarray(0, Math.min(rows, count - at) * length), at * length);
      }
      return all;
    },
  };
}

async function loadAt(host: GraphHost, options: ExtractorOptions, rows: number) {
  const { name, path, folder, source, preprocessing } = options;
  const { rescale, mean, std } = preprocessing;
  const { model, inputName, outputName } = toEmbeddingModel(await loadModel(path), {
    input: source.input,
    outputs: [{ name: source.output, pooling: source.pooling }],
    ...outputSize(preprocessing),
    rescale,
    mean,
    std,
    batchSize: rows,
    unitLength: false,
  });
  const [file = ''] = await writeModelFiles(join(folder, `${name}.onnx`), model);
  const { runMs, outputs } = await host.load(name, file);
  const dims = outputs[outputName] ?? [];
  const [batch, length] = dims;
  if (dims.length !== 2 || batch !== rows || length === undefined) {
    throw misfit(
      `'${source.output}' gives ${show(dims)} for ${String(rows)} pictures, expected [pictures, length]`,
    );
  }
  return { runMs, length, input: inputName, output: outputName };
}
