import { escapeHtml } from '../../base/html.ts';

export interface Curve {
  name: string;
  /** A CSS colour. */
  colour: string;
  /** By epoch, the first is 1. */
  values: readonly number[];
}

const WIDTH = 560;
const HEIGHT = 220;
const LEFT = 46;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 26;
const TICKS = 4;

interface CurvesOptions {
  /** The epoch that is marked. */
  best: number;
  unit: string;
  label: string;
  /** No value is above it. */
  most?: number;
}

/** Curves over epochs as an SVG of its own. */
export function curvesSvg(
  curves: readonly Curve[],
  { best, unit, label, most = Infinity }: CurvesOptions,
): string {
  const epochs = Math.max(1, ...curves.map(({ values }) => values.length));
  const [low, high] = rangeOf(
    curves.flatMap(({ values }) => values),
    most,
  );
  const x = (epoch: number): number =>
    LEFT + ((epoch - 1) / Math.max(1, epochs - 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const at = (epoch: number, value: number): string => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`;
  const decimals = high - low >= 20 ? 0 : high - low >= 2 ? 1 : 2;
  const ticks = Array.from({ length: TICKS + 1 }, (_, i) => low + ((high - low) * i) / TICKS);
  const grid = ticks.map(
    (value) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}"/>` +
      `<text x="${LEFT - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${value.toFixed(decimals)}${escapeHtml(unit)}</text>`,
  );
  const lines = curves.map(
    ({ colour, values }) =>
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${values.map((value, i) => at(i + 1, value)).join(' ')}"/>` +
      values.map((value, i) => dot(at(i + 1, value), colour, i + 1 === best)).join(''),
  );
  const legend = curves.map(
    ({ name, colour }) => `<span><i style="background:${colour}"></i>${escapeHtml(name)}</span>`,
  );
  return (
    `<figure class="chart"><figcaption>${escapeHtml(label)} ${legend.join(' ')}</figcaption>` +
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(label)}">${grid.join('')}` +
    `<line class="best" x1="${x(best).toFixed(1)}" x2="${x(best).toFixed(1)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>` +
    `${lines.join('')}<text x="${LEFT}" y="${HEIGHT - 8}">1</text>` +
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">epoch ${epochs}</text></svg></figure>`
  );
}

function dot(place: string, colour: string, isBest: boolean): string {
  const [cx = '', cy = ''] = place.split(',');
  return `<circle cx="${cx}" cy="${cy}" r="${isBest ? 4 : 2}" fill="${colour}"/>`;
}

/** A little room above and below, never empty, and nothing below zero or above the most where nothing is. */
function rangeOf(values: readonly number[], most: number): [number, number] {
  const finite = values.filter(Number.isFinite);
  const [low, high] = finite.length === 0 ? [0, 1] : [Math.min(...finite), Math.max(...finite)];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low >= 0 ? Math.max(0, low - room) : low - room, Math.min(most, high + room)];
}
