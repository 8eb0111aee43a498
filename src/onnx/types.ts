/**
 * An ONNX file as plain data. The shapes follow onnx.proto; what this package has no use for (training info, sparse
 * tensors, device configurations, fields newer than this code) is kept in `unknown`, byte for byte, and written back.
 * Optional fields are absent where the file says nothing.
 */
export interface OnnxModel extends Extensible {
  irVersion: number;
  producerName?: string;
  producerVersion?: string;
  domain?: string;
  modelVersion?: number;
  docString?: string;
  graph: Graph;
  opsetImports: OpsetImport[];
  metadata: StringEntry[];
  functions: OnnxFunction[];
}

interface Extensible {
  /** Fields that these types don't name: encoded, tag included. */
  unknown?: Uint8Array[];
}

interface OpsetImport extends Extensible {
  /** Absent or '' is the standard ONNX domain. */
  domain?: string;
  version: number;
}

interface StringEntry extends Extensible {
  key: string;
  value: string;
}

export interface Graph extends Extensible {
  name: string;
  docString?: string;
  nodes: Node[];
  initializers: Tensor[];
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  valueInfos: ValueInfo[];
  metadata: StringEntry[];
}

export interface Node extends Extensible {
  opType: string;
  name?: string;
  domain?: string;
  overload?: string;
  docString?: string;
  /** Value names; '' is an optional input or output that is left out. */
  inputs: string[];
  outputs: string[];
  attributes: Attribute[];
  metadata: StringEntry[];
}

/** An attribute's value with its type said, so that `1` (int) and `1.0` (float) stay different. */
export type AttributeValue =
  | { type: 'float'; value: number }
  | { type: 'int'; value: bigint }
  /** Bytes, as in the file: mostly UTF-8 text. */
  | { type: 'string'; value: Uint8Array }
  | { type: 'tensor'; value: Tensor }
  | { type: 'graph'; value: Graph }
  | { type: 'floats'; value: Float32Array }
  | { type: 'ints'; value: BigInt64Array }
  | { type: 'strings'; value: Uint8Array[] }
  | { type: 'tensors'; value: Tensor[] }
  | { type: 'graphs'; value: Graph[] }
  /** Inside a function: takes its value from the caller's attribute `refAttrName`; or a type kept as unknown fields. */
  | { type: 'other'; typeId: number };

export type Attribute = Extensible & {
  name: string;
  docString?: string;
  refAttrName?: string;
} & AttributeValue;

/** Numbers of onnx.proto's TensorProto.DataType. */
export const DATA_TYPE = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
} as const;
export type DataType = keyof typeof DATA_TYPE;

/** The name of a data type's number, or the number itself where it has none here. */
export function dataTypeName(id: number): string {
  return Object.entries(DATA_TYPE).find(([, value]) => value === id)?.[0] ?? `type ${String(id)}`;
}

/** Values lie in exactly one of the data fields, or in a file beside the model (`externalData`). */
export interface Tensor extends Extensible {
  name?: string;
  docString?: string;
  dims: number[];
  dataType: number;
  /** Little-endian, rows first. A view of the file's bytes after `readModel`: not copied. */
  rawData?: Uint8Array;
  floatData?: Float32Array;
  /** Also int8, int16, bool, uint8, uint16, float16 bits. */
  int32Data?: Int32Array;
  int64Data?: BigInt64Array;
  doubleData?: Float64Array;
  uint64Data?: BigUint64Array;
  stringData: Uint8Array[];
  /** Keys `location`, `offset`, `length`, `checksum`. */
  externalData: StringEntry[];
  /** 1 = external. */
  dataLocation?: number;
  metadata: StringEntry[];
}

export interface ValueInfo extends Extensible {
  name: string;
  docString?: string;
  type?: ValueType;
  metadata: StringEntry[];
}

interface ValueType extends Extensible {
  denotation?: string;
  /** Absent for sequences, maps and optionals, which stay in `unknown`. */
  tensorType?: TensorType;
}

interface TensorType extends Extensible {
  elemType: number;
  /** Absent: unknown rank. */
  shape?: Shape;
}

interface Shape extends Extensible {
  dims: Dimension[];
}

/** A fixed length (`value`), a named one (`param`), or unknown (neither). */
interface Dimension extends Extensible {
  value?: number;
  param?: string;
  denotation?: string;
}

interface OnnxFunction extends Extensible {
  name: string;
  domain?: string;
  overload?: string;
  docString?: string;
  inputs: string[];
  outputs: string[];
  /** Names of attributes without a default. */
  attributes: string[];
  attributeDefaults: Attribute[];
  nodes: Node[];
  opsetImports: OpsetImport[];
  valueInfos: ValueInfo[];
  metadata: StringEntry[];
}
