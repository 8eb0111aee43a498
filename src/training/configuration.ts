import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { fingerprintOf } from '../model/fingerprint.ts';
import { readModel } from '../onnx/codec.ts';
import { externalLocations } from '../onnx/external.ts';
import type { TrainerOptions } from './trainer.ts';

/** Changes whenever the same options come to mean other numbers. */
const VERSION = 1;

/** SHA-256, as hex, of all that the numbers of a run depend on, beside its data. */
export async function configurationOf(options: TrainerOptions): Promise<string> {
  const { model, features, featureStatistics } = options;
  const locations = model.folder === null ? [] : externalLocations(readModel(model.bytes));
  const weights = [model.bytes, ...locations.map((location) => join(model.folder ?? '', location))];
  const fingerprint = await fingerprintOf({
    name: 'model',
    weights,
    preprocessing: model.preprocessing,
    pooling: { output: JSON.stringify(features), pooling: '', normalise: 'l2' },
  });
  const { classes, strategy, loss, optimiser, clipNorm, averageDecay } = options;
  const { dropRate, batchSize, pixels, seed } = options;
  const hash = createHash('sha256').update(
    JSON.stringify([
      VERSION,
      fingerprint,
      ...[classes, strategy, loss, optimiser, clipNorm, averageDecay, dropRate, batchSize, pixels, seed],
    ]),
  );
  for (const values of Object.values(featureStatistics ?? {}))
    hash.update(new Uint8Array(Float32Array.from(values).buffer));
  return hash.digest('hex');
}
