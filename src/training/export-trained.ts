import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { ModelError } from '../base/errors.ts';
import type { Preprocessing } from '../image/preprocessing.ts';
import type { GraphHost } from '../model/graph-host.ts';
import { loadModel } from '../onnx/load-model.ts';
import type { PlacedBackbone } from './backbone.ts';
import { exportedModel, type Trained } from './export.ts';
import { loadExtractor } from './extractor.ts';
import type { ExportOptions, ExportReport } from './trainer.ts';
import { writeModelFiles } from './write-model.ts';

/** Logits of the exported file and of the training graph may differ by this much. */
const MOST_DIFFERENCE = 1e-4;
const FILE = 'model.onnx';
/** Of the check's graph in the host. */
const CHECK = 'exported';

export interface ExportParts {
  host: GraphHost;
  backbone: PlacedBackbone;
  preprocessing: Preprocessing;
  trained: Trained;
  /** The training graph's logits of the batch that is checked. */
  expected: Float32Array;
}

/**
 * Writes the trained model, reads it again from the disk, and compares its logits with the training graph's.
 * @throws ModelError `export_differs`; the files are gone then.
 */
export async function exportTrained(parts: ExportParts, options: ExportOptions): Promise<ExportReport> {
  const { host, backbone, preprocessing, trained, expected } = parts;
  const { folder, classNames, temperature = 1, metadata = {}, check } = options;
  const card = { classNames, preprocessing, temperature, metadata };
  const { model, output } = exportedModel(await loadModel(backbone.path), backbone, trained, card);
  await mkdir(folder, { recursive: true });
  const files = await writeModelFiles(join(folder, FILE), model, { external: backbone.isExternal });
  try {
    const exported = await loadExtractor(host, {
      name: CHECK,
      path: join(folder, FILE),
      folder: backbone.folder,
      source: { input: backbone.input, output, pooling: 'as_is' },
      preprocessing,
    });
    const maxAbsDifference = largestDifference(expected, await exported.run(check.pixels, check.count));
    if (!(maxAbsDifference <= MOST_DIFFERENCE)) {
      throw new ModelError(
        'export_differs',
        `the exported model's logits differ from the training graph's by ${String(maxAbsDifference)} on a real batch, ` +
          `at most ${String(MOST_DIFFERENCE)} is allowed: the file was not kept`,
      );
    }
    return { files, output, maxAbsDifference };
  } catch (error) {
    await Promise.all(files.map((file) => rm(file, { force: true })));
    throw error;
  } finally {
    await host.unload(CHECK);
  }
}

/** NaN where one of the values is none. */
function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return NaN;
  return a.reduce((most, value, i) => {
    const difference = Math.abs(value - (b[i] ?? NaN));
    return difference > most || Number.isNaN(difference) ? difference : most;
  }, 0);
}
