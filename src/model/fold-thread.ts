/** Folds one model and infers its lengths, then ends. Started by fold-graph.ts. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

import { messageOf } from '../base/errors.ts';
import { readModel, writeModel } from '../onnx/codec.ts';
import type { OnnxModel } from '../onnx/types.ts';
import type { FromFoldThread, InferredValue } from './fold-messages.ts';

// Written, not read, and before the binding is loaded: the thread shares the process' environment with the native side.
// eslint-disable-next-line no-restricted-syntax
process.env.ORT_DISABLE_TELEMETRY = '1';
const { InferenceSession: Session } = await import('onnxruntime-node');

/** Nothing: what goes wrong is thrown. */
const LOG_FATAL_ONLY = 4;

/**
 * What ONNX Runtime's basic optimisations would do beyond folding: merging operators, moving transposes. The graph
 * stays as its author wrote it; what is merged for training is decided in src/training.
 */
const NOT_WANTED = [
  'CommonSubexpressionElimination',
  'ConstantSharing',
  'ConvAddFusion',
  'ConvBNFusion',
  'ConvMulFusion',
  'DivMulFusion',
  'FuseReluClip',
  'GatherToSliceFusion',
  'GeluFusionL1',
  'GemmSumFusion',
  'GemmTransposeFusion',
  'LayerNormFusionL1',
  'MatMulAddFusion',
  'MatMul_BatchNormalization_Fusion',
  'NotWhereFusion',
  'Pad_Fusion',
  'ReshapeFusion',
  'SimplifiedLayerNormFusion',
  'TransposeOptimizer',
].join(';');

async function folded(model: Uint8Array): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'gpu-handlers-fold-'));
  try {
    const path = join(folder, 'folded.onnx');
    const session = await Session.create(model, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'basic',
      optimizedModelFilePath: path,
      logSeverityLevel: LOG_FATAL_ONLY,
      extra: { optimization: { disable_specified_optimizers: NOT_WANTED } },
    });
    await session.release();
    return await readFile(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A session knows the lengths of its outputs: so every value becomes one. */
async function inferred(model: OnnxModel): Promise<InferredValue[]> {
  const names = model.graph.nodes.flatMap((node) => node.outputs.filter((name) => name !== ''));
  const outputs = names.map((name) => ({ name, metadata: [] }));
  const shown = writeModel({ ...model, graph: { ...model.graph, outputs, valueInfos: [] } });
  const session = await Session.create(shown, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: LOG_FATAL_ONLY,
  });
  const values = session.outputMetadata
    .filter((value) => value.isTensor)
    .map(({ name, type, shape }) => ({
      name,
      type,
      dims: shape.map((d) => (typeof d === 'number' && d >= 0 ? d : null)),
    }));
  await session.release();
  return values;
}

function send(message: FromFoldThread): void {
  parentPort?.postMessage(message);
}

try {
  const model = await folded(workerData as Uint8Array);
  send({ type: 'folded', model, values: await inferred(readModel(model)) });
} catch (error) {
  send({ type: 'failed', message: messageOf(error) });
}
