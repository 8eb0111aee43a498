import type { GraphBuilder } from '../../onnx/build.ts';

/** Keeps divisions and roots away from zero where a picture is flat. */
const LITTLE = 1e-4;
/** A kernel reaches this many Gaussian scales to each side. */
const REACH = 2.5;
/** Soft cells of a grid are Gaussians of half a cell, and fade over this share of the picture to its edge. */
const CELL_SPREAD = 0.5;
const FADE = 0.2;

const scalar = (g: GraphBuilder, value: number) => g.floats([value], []);
const padded = (g: GraphBuilder, x: string, by: number) =>
  g.node('Pad', [x, g.ints([0, 0, by, by, 0, 0, by, by])], { attributes: { mode: 'edge' } });

/** Gaussian blur of each channel by itself, the edge repeated. */
export function blurred(g: GraphBuilder, x: string, blur: { channels: number; sigma: number }): string {
  const { channels, sigma } = blur;
  const radius = Math.ceil(REACH * sigma);
  const size = 2 * radius + 1;
  const bell = Array.from({ length: size }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)));
  const sum = bell.reduce((total, value) => total + value, 0);
  const kernel = Array.from({ length: channels }, () => bell.map((value) => value / sum)).flat();
  const attributes = { group: channels };
  const across = g.node('Conv', [padded(g, x, radius), g.floats(kernel, [channels, 1, 1, size])], {
    attributes,
  });
  return g.node('Conv', [across, g.floats(kernel, [channels, 1, size, 1])], { attributes });
}

/** (R-G)/S and (R+G-2B)/2S with S = R+G+B and a little, so that black counts as grey: [batch, 2, h, w]. */
export function opponentColours(g: GraphBuilder, rgb: string): string {
  const opposed = g.node('Conv', [rgb, g.floats([1, -1, 0, 0.5, 0.5, -1], [2, 3, 1, 1])]);
  const sum = g.node('Conv', [rgb, g.floats([1, 1, 1], [1, 3, 1, 1]), g.floats([0.25])]);
  return g.node('Div', [opposed, sum]);
}

/** Logarithm of brightness, less its neighbourhood's mean, by its neighbourhood's deviation: [batch, 1, h, w]. */
export function localContrast(g: GraphBuilder, rgb: string, sigma: number): string {
  const brightness = g.node('Conv', [rgb, g.floats([0.299, 0.587, 0.114], [1, 3, 1, 1])]);
  const log = g.node('Log', [g.node('Add', [g.node('Relu', [brightness]), scalar(g, 0.06)])]);
  const off = g.node('Sub', [log, blurred(g, log, { channels: 1, sigma })]);
  const variance = blurred(g, g.node('Mul', [off, off]), { channels: 1, sigma });
  return g.node('Div', [off, g.node('Sqrt', [g.node('Add', [variance, scalar(g, 0.0025)])])]);
}

/** Slope to the right and downwards, by derivatives of a Gaussian: [batch, 1, h, w] to [batch, 2, h, w]. */
export function gradient(g: GraphBuilder, x: string, sigma: number): string {
  const radius = Math.ceil(REACH * sigma);
  const size = 2 * radius + 1;
  const offsets = Array.from({ length: size }, (_, i) => i - radius);
  const bell = (dx: number, dy: number) => Math.exp(-(dx * dx + dy * dy) / (2 * sigma ** 2));
  const scale = 1 / (2 * Math.PI * sigma ** 3);
  const right = offsets.flatMap((dy) => offsets.map((dx) => scale * dx * bell(dx, dy)));
  const down = offsets.flatMap((dy) => offsets.map((dx) => scale * dy * bell(dx, dy)));
  return g.node('Conv', [padded(g, x, radius), g.floats([...right, ...down], [2, 1, size, size])]);
}

/** Unit vectors around the circle, as the weights of a 1 by 1 convolution. */
function compass(g: GraphBuilder, count: number): string {
  const angles = Array.from({ length: count }, (_, i) => (2 * Math.PI * i) / count);
  return g.floats(
    angles.flatMap((angle) => [Math.cos(angle), Math.sin(angle)]),
    [count, 2, 1, 1],
  );
}

/** Squared length of a slope: [batch, 2, h, w] to [batch, 1, h, w], never zero. */
function energy(g: GraphBuilder, slopes: string): string {
  const squares = g.node('Mul', [slopes, slopes]);
  return g.node('Conv', [squares, g.floats([1, 1], [1, 2, 1, 1]), g.floats([LITTLE])]);
}

/** Strength of a slope by its direction, soft between neighbours: [batch, 2, h, w] to [batch, count, h, w]. */
export function directionShares(g: GraphBuilder, slopes: string, count: number): string {
  const along = g.node('Relu', [g.node('Conv', [slopes, compass(g, count)])]);
  // Squared by the length: narrower in direction, in the same unit.
  return g.node('Div', [g.node('Mul', [along, along]), g.node('Sqrt', [energy(g, slopes)])]);
}

/** As `directionShares`, by axis: an edge from light to dark counts as one from dark to light (double angle). */
export function axisShares(g: GraphBuilder, slopes: string, count: number): string {
  const squares = g.node('Mul', [slopes, slopes]);
  const even = g.node('Conv', [squares, g.floats([1, -1], [1, 2, 1, 1])]);
  const [right = '', down = ''] = g.nodes('Split', [slopes, g.ints([1, 1])], {
    attributes: { axis: 1 },
    outputs: 2,
  });
  const odd = g.node('Mul', [g.node('Mul', [right, down]), scalar(g, 2)]);
  const total = energy(g, slopes);
  const doubled = g.node('Div', [g.node('Concat', [even, odd], { attributes: { axis: 1 } }), total]);
  const along = g.node('Relu', [g.node('Conv', [doubled, compass(g, count)])]);
  return g.node('Mul', [g.node('Mul', [along, along]), g.node('Sqrt', [total])]);
}

/**
 * To which of 1 + 2 · hues colours each pixel belongs, softly (shares that sum to 1): grey, and each hue pale and
 * strong. exp(-|c - m|² / 2s²) for each centre m; what all centres have in common cancels in the softmax.
 */
export function softHistogram(g: GraphBuilder, colours: string, hues: number): string {
  const variance = 0.12 ** 2;
  const ring = (radius: number) =>
    Array.from({ length: hues }, (_, i) => {
      const angle = (2 * Math.PI * i) / hues;
      return [radius * Math.cos(angle), radius * Math.sin(angle)] as const;
    });
  const centres = [[0, 0] as const, ...ring(0.18), ...ring(0.45)];
  const mixed = g.floats(
    centres.flatMap(([a, b]) => [a / variance, b / variance]),
    [centres.length, 2, 1, 1],
  );
  const own = g.floats(centres.map(([a, b]) => -(a * a + b * b) / (2 * variance)));
  return g.node('Softmax', [g.node('Conv', [colours, mixed, own])], { attributes: { axis: 1 } });
}

/** Means over `rows` by `columns` soft, overlapping cells: Gaussian windows as matrices from left and right. */
export function cells(g: GraphBuilder, x: string, size: number, rows: number, columns = rows): string {
  const across = windows(size, columns);
  const transposed = Array.from({ length: size }, (_, j) => across.map((row) => row[j] ?? 0)).flat();
  const narrow = g.node('MatMul', [x, g.floats(transposed, [size, columns])]);
  return g.node('MatMul', [g.floats(windows(size, rows).flat(), [rows, size]), narrow]);
}

/** One window a row: a Gaussian around the cell's middle with sum 1, then faded towards both ends. */
function windows(size: number, count: number): number[][] {
  const cell = size / count;
  return Array.from({ length: count }, (_, i) => {
    const bell = Array.from({ length: size }, (_, j) =>
      Math.exp(-(((j + 0.5 - (i + 0.5) * cell) / (cell * CELL_SPREAD)) ** 2) / 2),
    );
    const sum = bell.reduce((total, value) => total + value, 0);
    return bell.map((value, j) => {
      const inside = Math.min(1, (Math.min(j, size - 1 - j) + 0.5) / (FADE * size));
      return (value / sum) * inside * inside;
    });
  });
}

/** x to a power below one, safe at zero. */
export function lowered(g: GraphBuilder, x: string, power: number): string {
  return g.node('Pow', [g.node('Add', [x, scalar(g, LITTLE)]), scalar(g, power)]);
}

/** x less its mean over these axes. */
export function centred(g: GraphBuilder, x: string, axes: readonly number[]): string {
  return g.node('Sub', [x, g.node('ReduceMean', [x], { attributes: { axes, keepdims: 1 } })]);
}

/** The block as a row of `length` values whose square sum is its weight: its share in a similarity. */
export function share(g: GraphBuilder, block: { values: string; length: number; weight: number }): string {
  const row = g.node('Reshape', [block.values, g.ints([0, block.length])]);
  const norm = g.node('ReduceL2', [row], { attributes: { axes: [1], keepdims: 1 } });
  const unit = g.node('Div', [row, g.node('Add', [norm, scalar(g, LITTLE)])]);
  return g.node('Mul', [unit, scalar(g, Math.sqrt(block.weight))]);
}
