import type { Attribute, Node } from './types.ts';

/** The value of a node's attribute of one type, or undefined where the node has none of that name and type. */
export function attributeOf<T extends Attribute['type']>(
  node: Node,
  name: string,
  type: T,
): Extract<Attribute, { type: T }> | undefined {
  const isWanted = (a: Attribute): a is Extract<Attribute, { type: T }> => a.name === name && a.type === type;
  return node.attributes.find(isWanted);
}

/** A whole number, as `axis`; undefined where it is left out. */
export function intOf(node: Node, name: string): number | undefined {
  const value = attributeOf(node, name, 'int')?.value;
  return value === undefined ? undefined : Number(value);
}

export function floatOf(node: Node, name: string): number | undefined {
  return attributeOf(node, name, 'float')?.value;
}

/** Whole numbers, as `strides`. */
export function intsOf(node: Node, name: string): number[] | undefined {
  const value = attributeOf(node, name, 'ints')?.value;
  return value === undefined ? undefined : Array.from(value, Number);
}

export function textOf(node: Node, name: string): string | undefined {
  const value = attributeOf(node, name, 'string')?.value;
  return value === undefined ? undefined : Buffer.from(value).toString();
}
