import { SILENT_LOG, type Log } from '../base/log.ts';
import type { ExecutionProvider, Settings } from '../base/settings.ts';
import { writeModel } from '../onnx/codec.ts';
import { toEmbeddingModel } from '../onnx/rewrite.ts';
import { CATALOGUE } from './catalogue.ts';
import { createSession } from './session.ts';
import { SMALLEST } from './sizes.ts';
import { buildTinyVit } from './small/tiny-models.ts';

const SIDE_PX = 32;

/**
 * Runs a tiny model on the first provider that comes up, as a job's model would be.
 * @returns that provider.
 * @throws ModelError `gpu_required` where a GPU was promised and none comes up, `model_load_failed` where nothing does.
 */
export async function proveProvider(
  settings: Pick<Settings, 'ONNX_PROVIDERS' | 'REQUIRE_GPU'>,
  log: Log = SILENT_LOG,
): Promise<ExecutionProvider> {
  const { input, outputs } = CATALOGUE['dinov2-base'];
  const { model, inputName, outputName, fixedBatch } = toEmbeddingModel(buildTinyVit({ size: SIDE_PX }), {
    input,
    outputs,
    width: SIDE_PX,
    height: SIDE_PX,
    rescale: 1 / 255,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  });
  const session = await createSession({
    model: writeModel(model),
    inputName,
    outputName,
    width: SIDE_PX,
    height: SIDE_PX,
    fixedBatch,
    providers: settings.ONNX_PROVIDERS,
    requireGpu: settings.REQUIRE_GPU ?? false,
    sizes: { cuda: SMALLEST, webgpu: SMALLEST, cpu: SMALLEST },
    log,
  });
  await session.close();
  return session.provider;
}
