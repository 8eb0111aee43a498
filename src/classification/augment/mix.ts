import type { Size } from '../../image/geometry.ts';
import type { Random } from '../random.ts';

/** How the pictures of one batch are mixed: each with the one as far from the batch's other end. */
export type MixPlan =
  /** Zhang et al., 2017: `share` of the picture itself, the rest of the other one. */
  | { kind: 'mixup'; share: number }
  /** Yun et al., 2019: a rectangle of the other one. */
  | { kind: 'cutmix'; share: number; left: number; top: number; width: number; height: number };

export interface MixOptions {
  /** 0: never. */
  mixupAlpha: number;
  cutmixAlpha: number;
}

/** Which way a batch is mixed, and how strongly; null where both are switched off. */
export function planMix({ mixupAlpha, cutmixAlpha }: MixOptions, size: Size, random: Random): MixPlan | null {
  if (mixupAlpha <= 0 && cutmixAlpha <= 0) return null;
  const isCut = mixupAlpha <= 0 || (cutmixAlpha > 0 && random.chance(0.5));
  const share = random.beta(isCut ? cutmixAlpha : mixupAlpha);
  if (!isCut) return { kind: 'mixup', share };
  const side = Math.sqrt(1 - share);
  const [w, h] = [Math.round(size.width * side), Math.round(size.height * side)];
  const [x, y] = [random.below(size.width), random.below(size.height)];
  const left = Math.max(0, x - (w >> 1));
  const top = Math.max(0, y - (h >> 1));
  const width = Math.min(size.width, x - (w >> 1) + w) - left;
  const height = Math.min(size.height, y - (h >> 1) + h) - top;
  // What lies outside is not taken: the labels' shares are those of what is.
  const taken = (width * height) / (size.width * size.height);
  return { kind: 'cutmix', share: 1 - taken, left, top, width, height };
}

/** The other picture of each one's mixture; the middle of an odd batch is its own. */
export function partnerOf(i: number, count: number): number {
  return count - 1 - i;
}

/** Mixes the first `count` pictures of a batch in place. */
export function mixPictures(pixels: Uint8Array, count: number, size: Size, plan: MixPlan): void {
  const bytes = size.width * size.height * 3;
  for (let i = 0; i < count >> 1; i += 1) {
    const a = pixels.subarray(i * bytes, (i + 1) * bytes);
    const j = partnerOf(i, count);
    const b = pixels.subarray(j * bytes, (j + 1) * bytes);
    if (plan.kind === 'mixup') blend(a, b, plan.share);
    else swapRectangle(a, b, size, plan);
  }
}

function blend(a: Uint8Array, b: Uint8Array, share: number): void {
  for (let i = 0; i < a.length; i += 1) {
    const [one, other] = [a[i] ?? 0, b[i] ?? 0];
    a[i] = Math.round(share * one + (1 - share) * other);
    b[i] = Math.round(share * other + (1 - share) * one);
  }
}

function swapRectangle(
  a: Uint8Array,
  b: Uint8Array,
  size: Size,
  { left, top, width, height }: Extract<MixPlan, { kind: 'cutmix' }>,
): void {
  for (let y = top; y < top + height; y += 1) {
    const start = (y * size.width + left) * 3;
    const kept = a.slice(start, start + width * 3);
    a.set(b.subarray(start, start + width * 3), start);
    b.set(kept, start);
  }
}

export interface Targets {
  /** `[rows, classes]`, each row sums to 1. */
  targets: Float32Array;
  /** `[rows]`. */
  weights: Float32Array;
}

/**
 * Soft labels of a batch, as its pictures are mixed. Of the weights (of classes) each row has the mixture of its two
 * pictures'.
 */
export function mixedTargets(
  labels: readonly number[],
  { classes, classWeights, plan }: { classes: number; classWeights: Float32Array; plan: MixPlan | null },
): Targets {
  const targets = new Float32Array(labels.length * classes);
  const weights = new Float32Array(labels.length);
  const add = (row: number, label: number, share: number): void => {
    targets[row * classes + label] = (targets[row * classes + label] ?? 0) + share;
    weights[row] = (weights[row] ?? 0) + share * (classWeights[label] ?? 1);
  };
  for (const [row, label] of labels.entries()) {
    const share = plan?.share ?? 1;
    add(row, label, share);
    if (share < 1) add(row, labels[partnerOf(row, labels.length)] ?? label, 1 - share);
  }
  return { targets, weights };
}
