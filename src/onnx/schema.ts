/** How a field is encoded, and what it becomes: see codec.ts. `list` kinds are always present as arrays. */
export type Kind =
  | 'string'
  | 'bytes'
  | 'float'
  /** A bigint. */
  | 'int64'
  /** An int64 or enum that is a plain number here; beyond 2^53 it is refused. */
  | 'number'
  | 'strings'
  | 'bytesList'
  | 'numbers'
  /** Typed arrays: absent where the file holds no element. */
  | 'floats'
  | 'doubles'
  | 'int32s'
  | 'int64s'
  | 'uint64s'
  | { message: () => Schema; list: boolean };

/** A message of onnx.proto: field number, key in types.ts, kind. `required` keys get a default where absent. */
export interface Schema {
  fields: readonly (readonly [id: number, key: string, kind: Kind])[];
  defaults: Readonly<Record<string, unknown>>;
}

const one = (message: () => Schema): Kind => ({ message, list: false });
const many = (message: () => Schema): Kind => ({ message, list: true });

const ENTRY: Schema = {
  fields: [
    [1, 'key', 'string'],
    [2, 'value', 'string'],
  ],
  defaults: { key: '', value: '' },
};

const OPSET: Schema = {
  fields: [
    [1, 'domain', 'string'],
    [2, 'version', 'number'],
  ],
  defaults: { version: 0 },
};

const DIMENSION: Schema = {
  fields: [
    [1, 'value', 'number'],
    [2, 'param', 'string'],
    [3, 'denotation', 'string'],
  ],
  defaults: {},
};

const SHAPE: Schema = { fields: [[1, 'dims', many(() => DIMENSION)]], defaults: {} };

const TENSOR_TYPE: Schema = {
  fields: [
    [1, 'elemType', 'number'],
    [2, 'shape', one(() => SHAPE)],
  ],
  defaults: { elemType: 0 },
};

const VALUE_TYPE: Schema = {
  fields: [
    [1, 'tensorType', one(() => TENSOR_TYPE)],
    [6, 'denotation', 'string'],
  ],
  defaults: {},
};

const VALUE_INFO: Schema = {
  fields: [
    [1, 'name', 'string'],
    [2, 'type', one(() => VALUE_TYPE)],
    [3, 'docString', 'string'],
    [4, 'metadata', many(() => ENTRY)],
  ],
  defaults: { name: '' },
};

const TENSOR: Schema = {
  fields: [
    [1, 'dims', 'numbers'],
    [2, 'dataType', 'number'],
    [4, 'floatData', 'floats'],
    [5, 'int32Data', 'int32s'],
    [6, 'stringData', 'bytesList'],
    [7, 'int64Data', 'int64s'],
    [8, 'name', 'string'],
    [9, 'rawData', 'bytes'],
    [10, 'doubleData', 'doubles'],
    [11, 'uint64Data', 'uint64s'],
    [12, 'docString', 'string'],
    [13, 'externalData', many(() => ENTRY)],
    [14, 'dataLocation', 'number'],
    [16, 'metadata', many(() => ENTRY)],
  ],
  defaults: { dataType: 0 },
};

/** As in the file; attribute.ts turns it into the union of types.ts and back. */
export const ATTRIBUTE: Schema = {
  fields: [
    [1, 'name', 'string'],
    [2, 'f', 'float'],
    [3, 'i', 'int64'],
    [4, 's', 'bytes'],
    [5, 't', one(() => TENSOR)],
    [6, 'g', one(() => GRAPH)],
    [7, 'floats', 'floats'],
    [8, 'ints', 'int64s'],
    [9, 'strings', 'bytesList'],
    [10, 'tensors', many(() => TENSOR)],
    [11, 'graphs', many(() => GRAPH)],
    [13, 'docString', 'string'],
    [20, 'type', 'number'],
    [21, 'refAttrName', 'string'],
  ],
  defaults: { name: '' },
};

const NODE: Schema = {
  fields: [
    [1, 'inputs', 'strings'],
    [2, 'outputs', 'strings'],
    [3, 'name', 'string'],
    [4, 'opType', 'string'],
    [5, 'attributes', many(() => ATTRIBUTE)],
    [6, 'docString', 'string'],
    [7, 'domain', 'string'],
    [8, 'overload', 'string'],
    [9, 'metadata', many(() => ENTRY)],
  ],
  defaults: { opType: '' },
};

const GRAPH: Schema = {
  fields: [
    [1, 'nodes', many(() => NODE)],
    [2, 'name', 'string'],
    [5, 'initializers', many(() => TENSOR)],
    [10, 'docString', 'string'],
    [11, 'inputs', many(() => VALUE_INFO)],
    [12, 'outputs', many(() => VALUE_INFO)],
    [13, 'valueInfos', many(() => VALUE_INFO)],
    [16, 'metadata', many(() => ENTRY)],
  ],
  defaults: { name: '' },
};

const FUNCTION: Schema = {
  fields: [
    [1, 'name', 'string'],
    [4, 'inputs', 'strings'],
    [5, 'outputs', 'strings'],
    [6, 'attributes', 'strings'],
    [7, 'nodes', many(() => NODE)],
    [8, 'docString', 'string'],
    [9, 'opsetImports', many(() => OPSET)],
    [10, 'domain', 'string'],
    [11, 'attributeDefaults', many(() => ATTRIBUTE)],
    [12, 'valueInfos', many(() => VALUE_INFO)],
    [13, 'overload', 'string'],
    [14, 'metadata', many(() => ENTRY)],
  ],
  defaults: { name: '' },
};

export const MODEL: Schema = {
  fields: [
    [1, 'irVersion', 'number'],
    [2, 'producerName', 'string'],
    [3, 'producerVersion', 'string'],
    [4, 'domain', 'string'],
    [5, 'modelVersion', 'number'],
    [6, 'docString', 'string'],
    [7, 'graph', one(() => GRAPH)],
    [8, 'opsetImports', many(() => OPSET)],
    [14, 'metadata', many(() => ENTRY)],
    [25, 'functions', many(() => FUNCTION)],
  ],
  defaults: { irVersion: 0 },
};
