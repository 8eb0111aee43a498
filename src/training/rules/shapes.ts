import { intOf, intsOf, textOf } from '../../onnx/read-attribute.ts';
import { axisOf, inversePermutation, lengthAt, misfit, range } from '../dims.ts';
import { constantInts, optionalInts, type Rule } from '../rule.ts';

const same: Rule = ({ dy }) => [dy];

/** Reshape, Flatten, Squeeze, Unsqueeze: the same elements in the same order. */
const reshaped: Rule = ({ g, dy, input }) => [g.reshape(dy, g.dims(input(0)))];

const cast: Rule = ({ g, dy, input }) => [g.cast(dy, g.type(input(0)))];

const transpose: Rule = ({ g, node, dy }) => {
  const perm = intsOf(node, 'perm') ?? range(g.dims(dy).length).reverse();
  return [g.transpose(dy, inversePermutation(perm))];
};

const expand: Rule = ({ g, dy, input }) => [g.sumTo(dy, g.dims(input(0)))];

const concat: Rule = ({ g, node, dy, needs }) => {
  const axis = axisOf(intOf(node, 'axis') ?? 0, g.dims(dy).length);
  let at = 0;
  return node.inputs.map((input, i) => {
    const start = at;
    at += lengthAt(g.dims(input), axis);
    return needs(i) ? g.slice(dy, { axis, start, end: at }) : undefined;
  });
};

const split: Rule = ({ g, node, outputGradients, input }) => {
  const axis = axisOf(intOf(node, 'axis') ?? 0, g.dims(input(0)).length);
  const parts = outputGradients.map((gradient, i) => {
    const output = node.outputs[i] ?? '';
    return gradient === '' ? g.zeros(g.dims(output), g.type(output)) : gradient;
  });
  return [g.concat(parts, axis)];
};

const pad: Rule = (call) => {
  const { g, node, dy, input } = call;
  const mode = textOf(node, 'mode') ?? 'constant';
  if (mode !== 'constant') {
    throw misfit(`Pad '${node.name ?? ''}' in ${g.source} pads by '${mode}', which has no gradient rule`);
  }
  const dims = g.dims(input(0));
  const pads = constantInts(call, 1);
  const axes = optionalInts(call, 3, range(dims.length));
  const inner = axes.reduce((gradient, axis, i) => {
    const [before, after, length] = [pads[i] ?? 0, pads[i + axes.length] ?? 0, lengthAt(dims, axis)];
    // Negative pads cut off: what was cut off has no gradient.
    const kept = g.slice(gradient, {
      axis,
      start: Math.max(before, 0),
      end: Math.max(before, 0) + length + Math.min(before, 0) + Math.min(after, 0),
    });
    const one = (by: number): number[] => dims.map((_, k) => (k === axisOf(axis, dims.length) ? by : 0));
    return g.pad(kept, one(Math.max(-before, 0)), one(Math.max(-after, 0)));
  }, dy);
  return [inner];
};

/** Each repetition is an axis of its own, which is summed away. */
const tile: Rule = (call) => {
  const { g, dy, input } = call;
  const dims = g.dims(input(0));
  const repeats = constantInts(call, 1);
  const apart = dims.flatMap((d, i) => [repeats[i] ?? 1, d]);
  const summed = g.sum(
    g.reshape(dy, apart),
    range(dims.length).map((i) => 2 * i),
    false,
  );
  return [g.reshape(summed, dims)];
};

export const SHAPE_RULES: Readonly<Record<string, Rule>> = {
  Identity: same,
  Dropout: same,
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Cast: cast,
  Transpose: transpose,
  Expand: expand,
  Concat: concat,
  Split: split,
  Pad: pad,
  Tile: tile,
};
