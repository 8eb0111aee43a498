import { ModelError } from '../base/errors.ts';

/** Lengths of a tensor, outermost first; `[]` is a scalar. */
export type Dims = readonly number[];

/** How many elements a tensor of these dimensions has. */
export function sizeOf(dims: Dims): number {
  return dims.reduce((product, d) => product * d, 1);
}

export function sameDims(a: Dims, b: Dims): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** An axis counted from the front. @throws ModelError where the tensor has no such axis. */
export function axisOf(axis: number, rank: number): number {
  const counted = axis < 0 ? axis + rank : axis;
  if (counted < 0 || counted >= rank) {
    throw misfit(`a tensor of ${String(rank)} dimensions has no axis ${String(axis)}`);
  }
  return counted;
}

export function axesOf(axes: Dims, rank: number): number[] {
  return axes.map((axis) => axisOf(axis, rank));
}

/** The length along an axis, which must exist. */
export function lengthAt(dims: Dims, axis: number): number {
  return dims[axisOf(axis, dims.length)] ?? 0;
}

/** The dimensions with one length replaced. */
export function withLength(dims: Dims, axis: number, length: number): number[] {
  return dims.with(axisOf(axis, dims.length), length);
}

/** NumPy's broadcasting. @throws ModelError for shapes that do not fit. */
export function broadcastDims(a: Dims, b: Dims): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw misfit(`${show(a)} and ${show(b)} do not broadcast`);
    return x === 1 ? y : x;
  });
}

/** The axes of `full` along which `part` was repeated by broadcasting. */
export function broadcastAxes(part: Dims, full: Dims): number[] {
  const lead = full.length - part.length;
  return range(full.length).filter((i) => i < lead || (part[i - lead] === 1 && full[i] !== 1));
}

/** As ONNX's MatMul: the last two axes are multiplied, those before broadcast. */
export function matmulDims(a: Dims, b: Dims): number[] {
  const [rows, inner] = [a.at(-2), a.at(-1)];
  const [depth, columns] = [b.at(-2), b.at(-1)];
  if (rows === undefined || columns === undefined || inner !== depth) {
    throw misfit(`${show(a)} and ${show(b)} cannot be multiplied as matrices`);
  }
  return [...broadcastDims(a.slice(0, -2), b.slice(0, -2)), rows, columns];
}

/** The dimensions after a reduction over these axes, which stay as 1 or go. */
export function reducedDims(dims: Dims, axes: Dims, keep: boolean): number[] {
  const reduced = new Set(axesOf(axes, dims.length));
  return keep ? dims.map((d, i) => (reduced.has(i) ? 1 : d)) : dims.filter((_, i) => !reduced.has(i));
}

export function permutedDims(dims: Dims, perm: Dims): number[] {
  return perm.map((axis) => lengthAt(dims, axis));
}

/** The permutation that undoes this one. */
export function inversePermutation(perm: Dims): number[] {
  return range(perm.length).map((axis) => perm.indexOf(axis));
}

/** 0 to n − 1. */
export function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

/** As `[8, 3, 224, 224]`, for messages. */
export function show(dims: Dims): string {
  return `[${dims.map(String).join(', ')}]`;
}

export function misfit(message: string): ModelError {
  return new ModelError('graph_invalid', `building a training graph: ${message}`);
}
