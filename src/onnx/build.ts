import { ModelError } from '../base/errors.ts';
import { DATA_TYPE, type AttributeValue, type DataType, type Graph, type OnnxModel } from './types.ts';
import type { Attribute, Node, Tensor, ValueInfo } from './types.ts';

/** Says that a number is a float attribute: `{ epsilon: float(1e-6) }`. Plain numbers are ints. */
export function float(value: number): { float: number } {
  return { float: value };
}

/** An attribute in short: whole number = int, `float(x)`, string, list of whole numbers = ints, or any value in full. */
export type AttributeInput =
  | number
  | bigint
  | string
  | readonly number[]
  | { float: number }
  | { floats: readonly number[] }
  | AttributeValue;

export type ConstantData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Int8Array;

/** A length (number), a name for a length that is not fixed (string), or null for unknown. */
export type DimensionInput = number | string | null;

interface NodeOptions {
  attributes?: Readonly<Record<string, AttributeInput>>;
  /** Of the node and, for one output, of its value; must be new. */
  name?: string;
  /** How many outputs the node has; default 1. */
  outputs?: number;
  domain?: string;
}

export interface GraphBuilder {
  /** Adds an input and returns its name. */
  input(name: string, type: DataType, dims: readonly DimensionInput[]): string;
  /** Adds a node and returns its (first) output's name. '' as an input leaves an optional one out. */
  node(opType: string, inputs: readonly string[], options?: NodeOptions): string;
  /** As `node`, for all of several outputs. */
  nodes(opType: string, inputs: readonly string[], options: NodeOptions & { outputs: number }): string[];
  /** Adds an initializer; `dims` defaults to one dimension with all values, `[]` is a scalar. Not copied. */
  constant(data: ConstantData, dims?: readonly number[], name?: string): string;
  /** A float32 initializer. */
  floats(values: readonly number[], dims?: readonly number[], name?: string): string;
  /** An int64 initializer, as shapes and axes are. */
  ints(values: readonly number[], dims?: readonly number[], name?: string): string;
  /** Makes a value an output, under its own name or, through an Identity, another. */
  output(value: string, type: DataType, dims: readonly DimensionInput[], name?: string): void;
  /** What was built so far. */
  toGraph(): Graph;
  toModel(): OnnxModel;
}

export interface GraphBuilderOptions {
  name: string;
  /** Version of the standard operators; default 17. */
  opset?: number;
  /** Put before every generated name. */
  prefix?: string;
  /** Names that generated ones must avoid. */
  taken?: Iterable<string>;
  producerName?: string;
  docString?: string;
}

/** ONNX's own pairs of operator set and file format; older runtimes refuse newer formats for no need. */
const IR_VERSION = 8;
const DEFAULT_OPSET = 17;

/**
 * Builds a graph node by node; values are their names. Mistakes that ONNX Runtime would report late (a name given
 * twice, an unknown value, a constant of the wrong length) throw here.
 *
 *     const g = graphBuilder({ name: 'mean-colour', opset: 17 });
 *     const x = g.input('pixel_values', 'float32', ['batch', 3, 224, 224]);
 *     const mean = g.node('ReduceMean', [x], { attributes: { axes: [2, 3], keepdims: 0 } });
 *     const w = g.constant(new Float32Array(3 * 8).fill(0.5), [3, 8]);
 *     const y = g.node('MatMul', [mean, w]);
 *     const z = g.node('LeakyRelu', [y], { attributes: { alpha: float(0.1) } });
 *     const [a, b] = g.nodes('Split', [z, g.ints([4, 4])], { attributes: { axis: 1 }, outputs: 2 });
 *     g.output(g.node('Concat', [b, a], { attributes: { axis: 1 } }), 'float32', ['batch', 8], 'image_embeds');
 *     await writeFile('model.onnx', writeModel(g.toModel()));
 */
export function graphBuilder(options: GraphBuilderOptions): GraphBuilder {
  const prefix = options.prefix ?? '';
  const taken = new Set<string>(options.taken ?? []);
  const known = new Set<string>(options.taken ?? []);
  const graph: Graph = {
    name: options.name,
    nodes: [],
    initializers: [],
    inputs: [],
    outputs: [],
    valueInfos: [],
    metadata: [],
  };
  if (options.docString !== undefined) graph.docString = options.docString;
  let counter = 0;

  const define = (wanted: string | undefined, stem: string): string => {
    let name = wanted ?? `${prefix}${stem}_${String(counter++)}`;
    while (wanted === undefined && taken.has(name)) name = `${prefix}${stem}_${String(counter++)}`;
    if (name === '' || taken.has(name)) throw misuse(`the name '${name}' is taken or empty`);
    taken.add(name);
    known.add(name);
    return name;
  };

  const nodes: GraphBuilder['nodes'] = (opType, inputs, { attributes = {}, name, outputs, domain }) => {
    for (const input of inputs) {
      if (input !== '' && !known.has(input))
        throw misuse(`${opType} reads '${input}', which nothing has made yet`);
    }
    const first = define(name, opType);
    const rest = Array.from({ length: outputs - 1 }, (_, i) =>
      define(undefined, `${opType}_${String(i + 1)}`),
    );
    const node: Node = {
      opType,
      name: first,
      inputs: [...inputs],
      outputs: [first, ...rest],
      attributes: attributesOf(attributes),
      metadata: [],
    };
    if (domain !== undefined) node.domain = domain;
    graph.nodes.push(node);
    return node.outputs;
  };

  const constant: GraphBuilder['constant'] = (data, dims = [data.length], name) => {
    const tensor = tensorOf(data, dims, define(name, 'const'));
    graph.initializers.push(tensor);
    return tensor.name;
  };

  const toGraph = (): Graph => ({
    ...graph,
    nodes: [...graph.nodes],
    initializers: [...graph.initializers],
    inputs: [...graph.inputs],
    outputs: [...graph.outputs],
  });

  return {
    input: (name, type, dims) => {
      graph.inputs.push(valueInfo(define(name, name), type, dims));
      return name;
    },
    node: (opType, inputs, nodeOptions = {}) =>
      nodes(opType, inputs, { outputs: 1, ...nodeOptions })[0] ?? '',
    nodes,
    constant,
    floats: (values, dims, name) => constant(Float32Array.from(values), dims ?? [values.length], name),
    ints: (values, dims, name) => constant(BigInt64Array.from(values, BigInt), dims ?? [values.length], name),
    output: (value, type, dims, name = value) => {
      const shown = name === value ? value : nodes('Identity', [value], { name, outputs: 1 })[0];
      if (shown === undefined || !known.has(shown)) throw misuse(`the output '${value}' is made by nothing`);
      graph.outputs.push(valueInfo(shown, type, dims));
    },
    toGraph,
    toModel: () => ({
      irVersion: IR_VERSION,
      producerName: options.producerName ?? 'gpu-handlers',
      graph: toGraph(),
      opsetImports: [{ domain: '', version: options.opset ?? DEFAULT_OPSET }],
      metadata: [],
      functions: [],
    }),
  };
}

/** A tensor with these values in its raw data (a view, not a copy). */
export function tensorOf(
  data: ConstantData,
  dims: readonly number[],
  name: string,
): Tensor & { name: string } {
  const length = dims.reduce((a, b) => a * b, 1);
  if (length !== data.length) {
    throw misuse(
      `'${name}' has ${String(data.length)} values for the shape [${dims.map(String).join(', ')}]`,
    );
  }
  return {
    name,
    dims: [...dims],
    dataType: DATA_TYPE[typeOf(data)],
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    stringData: [],
    externalData: [],
    metadata: [],
  };
}

export function valueInfo(name: string, type: DataType, dims: readonly DimensionInput[]): ValueInfo {
  const shape = {
    dims: dims.map((d) => (d === null ? {} : typeof d === 'number' ? { value: d } : { param: d })),
  };
  return { name, type: { tensorType: { elemType: DATA_TYPE[type], shape } }, metadata: [] };
}

function typeOf(data: ConstantData): DataType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof BigInt64Array) return 'int64';
  return data instanceof Int8Array ? 'int8' : 'uint8';
}

/** Attributes in short form as a node holds them. */
export function attributesOf(inputs: Readonly<Record<string, AttributeInput>>): Attribute[] {
  return Object.entries(inputs).map(([name, value]) => ({ name, ...attributeValue(name, value) }));
}

function attributeValue(key: string, value: AttributeInput): AttributeValue {
  if (typeof value === 'bigint') return { type: 'int', value };
  if (typeof value === 'string') return { type: 'string', value: Uint8Array.from(Buffer.from(value)) };
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value))
      throw misuse(`attribute '${key}': say float(${String(value)}) for a float`);
    return { type: 'int', value: BigInt(value) };
  }
  if (isList(value)) return { type: 'ints', value: BigInt64Array.from(value, BigInt) };
  if ('float' in value) return { type: 'float', value: value.float };
  if ('floats' in value) return { type: 'floats', value: Float32Array.from(value.floats) };
  return value;
}

function isList(value: AttributeInput): value is readonly number[] {
  return Array.isArray(value);
}

function misuse(message: string): ModelError {
  return new ModelError('graph_invalid', `building an ONNX graph: ${message}`);
}
