/**
 * What drawing calls for every pixel, as plain bindings: inside of a `node:vm` context, where tests run, each look-up
 * of the global `Math` costs more than the function itself.
 */
export const { PI, abs, asin, atan2, ceil, cos, exp, floor, hypot, imul, max, min, round, sign, sin, sqrt } =
  Math;
