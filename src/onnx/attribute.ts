import type { Attribute, AttributeValue, Graph, Node, Tensor } from './types.ts';

/** AttributeProto.AttributeType. */
const TYPE_ID = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
} as const;

/** An attribute as the file has it: a field a type. */
export interface WireAttribute {
  name: string;
  type?: number;
  f?: number;
  i?: bigint;
  s?: Uint8Array;
  t?: Tensor;
  g?: Graph;
  floats?: Float32Array;
  ints?: BigInt64Array;
  strings: Uint8Array[];
  tensors: Tensor[];
  graphs: Graph[];
  docString?: string;
  refAttrName?: string;
  unknown?: Uint8Array[];
}

/** Old exporters leave `type` out: then the field that is there tells. A value that is left out is the type's zero. */
export function fromWire(wire: WireAttribute): Attribute {
  const { name, docString, refAttrName, unknown } = wire;
  return {
    name,
    ...(docString === undefined ? {} : { docString }),
    ...(refAttrName === undefined ? {} : { refAttrName }),
    ...(unknown === undefined ? {} : { unknown }),
    ...valueOf(wire),
  };
}

function valueOf(wire: WireAttribute): AttributeValue {
  const id = wire.type ?? 0;
  if (wire.refAttrName !== undefined && wire.refAttrName !== '') return { type: 'other', typeId: id };
  const is = (type: keyof typeof TYPE_ID, present: boolean): boolean =>
    id === 0 ? present : id === TYPE_ID[type];
  if (is('float', wire.f !== undefined)) return { type: 'float', value: wire.f ?? 0 };
  if (is('int', wire.i !== undefined)) return { type: 'int', value: wire.i ?? 0n };
  if (is('string', wire.s !== undefined)) return { type: 'string', value: wire.s ?? new Uint8Array(0) };
  if (is('tensor', wire.t !== undefined) && wire.t !== undefined) return { type: 'tensor', value: wire.t };
  if (is('graph', wire.g !== undefined) && wire.g !== undefined) return { type: 'graph', value: wire.g };
  if (is('floats', wire.floats !== undefined))
    return { type: 'floats', value: wire.floats ?? new Float32Array(0) };
  if (is('ints', wire.ints !== undefined)) return { type: 'ints', value: wire.ints ?? new BigInt64Array(0) };
  if (is('strings', wire.strings.length > 0)) return { type: 'strings', value: wire.strings };
  if (is('tensors', wire.tensors.length > 0)) return { type: 'tensors', value: wire.tensors };
  if (is('graphs', wire.graphs.length > 0)) return { type: 'graphs', value: wire.graphs };
  return { type: 'other', typeId: id };
}

export function toWire(attribute: Attribute): WireAttribute {
  const { name, docString, refAttrName, unknown } = attribute;
  const wire: WireAttribute = { name, strings: [], tensors: [], graphs: [] };
  if (docString !== undefined) wire.docString = docString;
  if (refAttrName !== undefined) wire.refAttrName = refAttrName;
  if (unknown !== undefined) wire.unknown = unknown;
  wire.type = attribute.type === 'other' ? attribute.typeId : TYPE_ID[attribute.type];
  // prettier-ignore
  switch (attribute.type) {
    case 'float': wire.f = attribute.value; break;
    case 'int': wire.i = attribute.value; break;
    case 'string': wire.s = attribute.value; break;
    case 'tensor': wire.t = attribute.value; break;
    case 'graph': wire.g = attribute.value; break;
    case 'floats': wire.floats = attribute.value; break;
    case 'ints': wire.ints = attribute.value; break;
    case 'strings': wire.strings = attribute.value; break;
    case 'tensors': wire.tensors = attribute.value; break;
    case 'graphs': wire.graphs = attribute.value; break;
    case 'other': break;
  }
  return wire;
}

/** The graphs inside a node (branches, loop bodies). */
export function subgraphs(node: Node): Graph[] {
  return node.attributes.flatMap((a) =>
    a.type === 'graph' ? [a.value] : a.type === 'graphs' ? a.value : [],
  );
}
