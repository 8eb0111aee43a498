import { ModelError } from '../../base/errors.ts';
import { standardOpset } from '../../onnx/inspect.ts';
import { dataTypeName, type Node, type OnnxModel } from '../../onnx/types.ts';

/** From here on operators broadcast, and take their inputs, as the rules expect. */
const MIN_OPSET = 9;
const QUANTISED =
  /^(Dynamic)?(Quantize|Dequantize)Linear$|Integer$|^QLinear|^QGemm|NBits$|^BitLinear|^QAttention/;
const HALF = new Set(['float16', 'bfloat16']);

/**
 * Refuses what cannot be trained as it stands, before anything is run: quantised, float16 and vendor-fused files.
 * @throws ModelError `model_not_trainable` that names the operator or weight and says what to take instead.
 */
export function refuseUntrainable(model: OnnxModel, path: string): void {
  const opset = standardOpset(model);
  if (opset < MIN_OPSET) {
    throw refusal(path, `it is written for operator set ${String(opset)}`, 'export it anew, for 17 or later');
  }
  const { nodes, initializers } = model.graph;
  const quantised = nodes.find((node) => QUANTISED.test(node.opType));
  if (quantised !== undefined) {
    throw refusal(path, `it is quantised (${nameOf(quantised)})`, 'take the float32 file');
  }
  const half = initializers.find((tensor) => HALF.has(dataTypeName(tensor.dataType)));
  if (half !== undefined) {
    const what = `its weight '${half.name ?? ''}' is ${dataTypeName(half.dataType)}`;
    throw refusal(path, what, 'take the float32 file');
  }
  refuseVendors(model, path);
}

/** Operators that are neither ONNX's own nor defined in the file itself. */
export function refuseVendors(model: OnnxModel, path: string): void {
  const own = new Set(model.functions.map((f) => `${f.domain ?? ''}:${f.name}`));
  const vendor = model.graph.nodes.find(
    ({ domain = '', opType }) => domain !== '' && domain !== 'ai.onnx' && !own.has(`${domain}:${opType}`),
  );
  if (vendor === undefined) return;
  const what = `it has operators of ${vendor.domain ?? ''} (${nameOf(vendor)})`;
  throw refusal(path, what, 'take the file as it was exported, before it was optimised for one runtime');
}

function refusal(path: string, what: string, remedy: string): ModelError {
  return new ModelError('model_not_trainable', `${path} cannot be trained: ${what}; ${remedy}`);
}

/** As `MatMul '/blocks.0/fc1/MatMul'`, for messages. */
function nameOf(node: Node): string {
  return `${node.opType} '${node.name ?? node.outputs[0] ?? ''}'`;
}
