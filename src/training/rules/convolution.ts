import { intOf } from '../../onnx/read-attribute.ts';
import { range } from '../dims.ts';
import type { Rule } from '../rule.ts';
import type { Convolution } from '../convolution/convolution.ts';
import { inputGradient } from '../convolution/input-gradient.ts';
import { weightGradient } from '../convolution/weight-gradient.ts';
import { leftOver, windowOf } from '../convolution/window.ts';

const conv: Rule = ({ g, node, dy, input, needs, target }) => {
  const [x, weight] = [input(0), input(1)];
  const spatial = { input: g.dims(x).slice(2), output: g.dims(dy).slice(2), kernel: g.dims(weight).slice(2) };
  const window = windowOf(node, spatial);
  const convolution: Convolution = {
    x,
    weight,
    dy,
    window,
    groups: intOf(node, 'group') ?? 1,
    leftOver: leftOver(window, spatial.input, spatial.output),
  };
  const others = range(g.dims(dy).length).filter((axis) => axis !== 1);
  return [
    needs(0) ? inputGradient(g, convolution, target) : undefined,
    needs(1) ? weightGradient(g, convolution, target) : undefined,
    needs(2) ? g.sum(dy, others, false) : undefined,
  ];
};

/**
 * A transposed convolution is the input gradient of a convolution, so its own input gradient is that convolution, and
 * its weight gradient that convolution's with x and dy in each other's place.
 */
const convTranspose: Rule = ({ g, node, dy, input, needs, target }) => {
  const [x, weight] = [input(0), input(1)];
  const spatial = { input: g.dims(dy).slice(2), output: g.dims(x).slice(2), kernel: g.dims(weight).slice(2) };
  const window = windowOf(node, spatial);
  const groups = intOf(node, 'group') ?? 1;
  const convolution: Convolution = {
    x: dy,
    weight,
    dy: x,
    window,
    groups,
    leftOver: leftOver(window, spatial.input, spatial.output),
  };
  const others = range(g.dims(dy).length).filter((axis) => axis !== 1);
  const forward = (): string =>
    g.node('Conv', [dy, weight], {
      dims: g.dims(x),
      attributes: {
        strides: window.strides,
        dilations: window.dilations,
        pads: [...window.before, ...window.after],
        group: groups,
      },
    });
  return [
    needs(0) ? forward() : undefined,
    needs(1) ? weightGradient(g, convolution, target) : undefined,
    needs(2) ? g.sum(dy, others, false) : undefined,
  ];
};

export const CONVOLUTION_RULES: Readonly<Record<string, Rule>> = { Conv: conv, ConvTranspose: convTranspose };
