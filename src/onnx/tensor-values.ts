import { ModelError } from '../base/errors.ts';
import { DATA_TYPE, dataTypeName, type Tensor } from './types.ts';

/**
 * The values of a float32 or float64 tensor that lies in the file, copied.
 * @throws ModelError `model_unreadable` for other types and for values in another file.
 */
export function floatValues(tensor: Tensor): Float32Array {
  switch (tensor.dataType) {
    case DATA_TYPE.float32:
      return Float32Array.from(tensor.floatData ?? new Float32Array(aligned(tensor)));
    case DATA_TYPE.float64:
      return Float32Array.from(tensor.doubleData ?? new Float64Array(aligned(tensor)));
    default:
      throw unreadable(tensor, 'floats');
  }
}

/**
 * The values of an int64, int32 or bool tensor that lies in the file.
 * @throws ModelError `model_unreadable` for other types and for values in another file.
 */
export function intValues(tensor: Tensor): number[] {
  switch (tensor.dataType) {
    case DATA_TYPE.int64:
      return Array.from(tensor.int64Data ?? new BigInt64Array(aligned(tensor)), Number);
    case DATA_TYPE.int32:
      return Array.from(tensor.int32Data ?? new Int32Array(aligned(tensor)));
    case DATA_TYPE.bool:
      return Array.from(tensor.int32Data ?? new Uint8Array(aligned(tensor)));
    default:
      throw unreadable(tensor, 'whole numbers');
  }
}

/** A copy: the file's bytes need not lie where a typed array may begin. */
function aligned(tensor: Tensor): ArrayBuffer {
  const elements = tensor.dims.reduce((a, b) => a * b, 1);
  if (tensor.rawData === undefined && elements > 0) throw unreadable(tensor, 'values in the file');
  return Uint8Array.from(tensor.rawData ?? []).buffer;
}

function unreadable(tensor: Tensor, expected: string): ModelError {
  return new ModelError(
    'model_unreadable',
    `the tensor '${tensor.name ?? ''}' (${dataTypeName(tensor.dataType)}) was expected to hold ${expected}`,
  );
}
