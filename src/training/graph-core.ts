import { ModelError } from '../base/errors.ts';
import { attributesOf, tensorOf, valueInfo, type AttributeInput, type ConstantData } from '../onnx/build.ts';
import { subgraphs } from '../onnx/attribute.ts';
import { allNames } from '../onnx/inspect.ts';
import { DATA_TYPE, type DataType, type Node, type OnnxModel, type Tensor } from '../onnx/types.ts';
import { misfit, type Dims } from './dims.ts';
import { inOrder } from './order.ts';

/** What is known of a value before anything runs. */
export interface ValueShape {
  readonly type: DataType;
  readonly dims: Dims;
}

interface NodeOptions {
  /** Lengths of the (first) output. */
  dims: Dims;
  /** Of the (first) output; by default that of the first input. */
  type?: DataType;
  attributes?: Readonly<Record<string, AttributeInput>>;
  /** Of the node and its (first) output; must be new, or a name that `free` left without a maker. */
  name?: string;
}

/** A graph under construction: every value's element type and lengths are known. Values are their names. */
export interface GraphCore {
  /** What the graph was read from, for messages. */
  readonly source: string;

  /** Adds an input and returns its name. */
  input(name: string, type: DataType, dims: Dims): string;
  /** Adds a node and returns its output's name. `''` as an input leaves an optional one out. */
  node(opType: string, inputs: readonly string[], options: NodeOptions): string;
  /** As `node`, for several outputs. */
  nodes(
    opType: string,
    inputs: readonly string[],
    options: { outputs: readonly ValueShape[]; attributes?: NodeOptions['attributes'] },
  ): string[];
  /** Adds a node as it is, with what is known of its outputs. */
  insert(node: Node, outputs: readonly (ValueShape | undefined)[]): void;
  /** Asks a node for one more of its optional outputs and returns its name: the one that it has, or a new one. */
  extraOutput(node: Node, index: number, shape: ValueShape): string;
  /** Takes out the nodes that no output needs. */
  prune(): void;

  /** Adds an initializer; `dims` defaults to one dimension with all values. Not copied. */
  constant(data: ConstantData, dims?: Dims, name?: string): string;
  /** Adds an initializer as it is. */
  initializer(tensor: Tensor, name: string): string;
  /** A constant of one value, the same one for the same value. */
  scalar(value: number, type?: DataType): string;
  /** An int64 constant of one dimension, as shapes and axes are; the same one for the same values. */
  ints(values: Dims): string;

  /** Makes a value an output, under its own name or, through an Identity, another. */
  output(value: string, name?: string): string;
  /** Forgets the outputs that the graph had; their values stay. */
  clearOutputs(): void;
  /** Takes an input's or initializer's value away: an input, or a node with this `name`, gives it anew. */
  free(name: string): void;
  /** Lets all nodes that read `from` read `to` instead, except those named; outputs stay. */
  redirect(from: string, to: string, except?: ReadonlySet<Node>): void;

  /** @throws ModelError `shape_unknown` for a value whose lengths are not known. */
  dims(value: string): Dims;
  type(value: string): DataType;
  has(value: string): boolean;
  /** The initializer of this name, if it is one. */
  tensor(value: string): Tensor | undefined;
  inputNames(): string[];
  outputNames(): string[];
  /** All nodes, makers before readers. */
  ordered(): Node[];
  /** The graph as a model: nodes in order, without initializers that nothing reads. */
  toModel(): OnnxModel;
}

/** One operator set for all training graphs: the first one with Gelu, the last one that every supported runtime knows. */
const TRAINING_OPSET = 20;
/** ONNX's own pair of that operator set. */
const IR_VERSION = 9;

export function graphCore(source: string): GraphCore {
  const values = new Map<string, ValueShape>();
  const made = new Set<string>();
  const initializers = new Map<string, Tensor>();
  const inputs: string[] = [];
  const outputs: string[] = [];
  let nodes: Node[] = [];
  let counter = 0;

  const fresh = (stem: string): string => {
    let name = `${stem}~${String(counter++)}`;
    while (values.has(name)) name = `${stem}~${String(counter++)}`;
    return name;
  };
  const define = (name: string, shape: ValueShape | undefined): string => {
    if (name === '' || made.has(name)) throw misfit(`the name '${name}' is taken or empty`);
    made.add(name);
    if (shape !== undefined) values.set(name, { type: shape.type, dims: [...shape.dims] });
    return name;
  };
  const lookUp = (value: string): ValueShape => {
    const shape = values.get(value);
    if (shape === undefined) {
      throw new ModelError(
        'shape_unknown',
        `the lengths of '${value}' in ${source} are not known before it runs`,
      );
    }
    return shape;
  };

  const insert: GraphCore['insert'] = (node, shapes) => {
    node.outputs.forEach((name, i) => {
      if (name !== '') define(name, shapes[i]);
    });
    nodes.push(node);
  };
  const add = (opType: string, from: readonly string[], options: AddOptions): string[] => {
    const unknown = from.find((name) => name !== '' && !values.has(name));
    if (unknown !== undefined) throw misfit(`${opType} reads '${unknown}', of which nothing is known`);
    const names = options.outputs.map((_, i) => (i === 0 ? options.name : undefined) ?? fresh(opType));
    const attributes = attributesOf(options.attributes ?? {});
    insert(
      { opType, name: names[0] ?? '', inputs: [...from], outputs: names, attributes, metadata: [] },
      options.outputs,
    );
    return names;
  };

  const initializer: GraphCore['initializer'] = (tensor, name) => {
    define(name, { type: typeOf(tensor), dims: tensor.dims });
    initializers.set(name, { ...tensor, name });
    return name;
  };
  const cached = (name: string, make: () => ConstantData, dims: Dims): string =>
    initializers.has(name) ? name : initializer(tensorOf(make(), dims, name), name);

  const toModel = (): OnnxModel => {
    const ordered = inOrder(nodes);
    const needed = new Set([...ordered.flatMap((node) => node.inputs), ...outputs]);
    const orphan = [...needed].find((name) => name !== '' && !made.has(name));
    if (orphan !== undefined) throw misfit(`nothing gives '${orphan}'`);
    const read = new Set([...needed, ...ordered.flatMap(readInside)]);
    const info = (name: string) => valueInfo(name, lookUp(name).type, lookUp(name).dims);
    return {
      irVersion: IR_VERSION,
      producerName: 'gpu-handlers',
      graph: {
        name: 'training',
        nodes: ordered,
        initializers: [...initializers.values()].filter(({ name = '' }) => read.has(name)),
        inputs: inputs.map(info),
        outputs: outputs.map(info),
        valueInfos: [],
        metadata: [],
      },
      opsetImports: [{ domain: '', version: TRAINING_OPSET }],
      metadata: [],
      functions: [],
    };
  };

  return {
    source,
    input: (name, type, dims) => {
      inputs.push(define(name, { type, dims }));
      return name;
    },
    node: (opType, from, { dims, type, attributes = {}, name }) => {
      const shape = { dims, type: type ?? lookUp(from[0] ?? '').type };
      return (
        add(opType, from, { outputs: [shape], attributes, ...(name === undefined ? {} : { name }) })[0] ?? ''
      );
    },
    nodes: (opType, from, options) => add(opType, from, options),
    insert,
    extraOutput: (node, index, shape) => {
      while (node.outputs.length <= index) node.outputs.push('');
      const there = node.outputs[index];
      if (there !== undefined && there !== '') return there;
      return (node.outputs[index] = define(fresh(node.opType), shape));
    },
    prune: () => {
      const needed = new Set(outputs);
      const kept = inOrder(nodes)
        .toReversed()
        .filter((node) => {
          const isNeeded = node.outputs.some((name) => needed.has(name));
          if (isNeeded) for (const name of [...node.inputs, ...readInside(node)]) needed.add(name);
          else for (const name of node.outputs) made.delete(name);
          return isNeeded;
        });
      nodes = kept.toReversed();
    },
    constant: (data, dims = [data.length], name = fresh('const')) =>
      initializer(tensorOf(data, dims, name), name),
    initializer,
    scalar: (value, type = 'float32') => cached(`${type}:${String(value)}`, () => oneValue(value, type), []),
    ints: (list) => cached(`ints:${list.join(',')}`, () => BigInt64Array.from(list, BigInt), [list.length]),
    output: (value, name = value) => {
      const shape = lookUp(value);
      const shown = name === value ? value : (add('Identity', [value], { outputs: [shape], name })[0] ?? '');
      outputs.push(shown);
      return shown;
    },
    clearOutputs: () => {
      outputs.length = 0;
    },
    free: (name) => {
      const input = inputs.indexOf(name);
      if (input >= 0) inputs.splice(input, 1);
      else if (!initializers.delete(name)) throw misfit(`'${name}' is no input and no initializer`);
      made.delete(name);
    },
    redirect: (from, to, except = new Set()) => {
      for (const node of nodes) {
        if (!except.has(node)) node.inputs = node.inputs.map((name) => (name === from ? to : name));
      }
    },
    dims: (value) => lookUp(value).dims,
    type: (value) => lookUp(value).type,
    has: (value) => values.has(value),
    tensor: (value) => initializers.get(value),
    inputNames: () => [...inputs],
    outputNames: () => [...outputs],
    ordered: () => inOrder(nodes),
    toModel,
  };
}

/** Names that the graphs inside a node use, some of them values around it. */
function readInside(node: Node): string[] {
  return subgraphs(node).flatMap((inner) => [...allNames(inner)]);
}

interface AddOptions {
  outputs: readonly ValueShape[];
  attributes?: NodeOptions['attributes'];
  name?: string;
}

const NAMES = new Map(Object.entries(DATA_TYPE).map(([name, id]) => [id as number, name as DataType]));

function typeOf(tensor: Tensor): DataType {
  const type = NAMES.get(tensor.dataType);
  if (type === undefined) throw misfit(`the tensor '${tensor.name ?? ''}' has an unknown element type`);
  return type;
}

function oneValue(value: number, type: DataType): ConstantData {
  switch (type) {
    case 'float32':
      return Float32Array.of(value);
    case 'float64':
      return Float64Array.of(value);
    case 'int64':
      return BigInt64Array.of(BigInt(value));
    case 'int32':
      return Int32Array.of(value);
    default:
      throw misfit(`no constant of type ${type} is made from a number`);
  }
}
