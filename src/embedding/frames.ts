import type { SourceConfig } from './input.ts';

export type FrameSelection = Pick<SourceConfig, 'frame_selection' | 'max_frames' | 'frame_interval'>;

/**
 * Which of `n` frames a job takes, as ascending positions from 0. `first`: 0. `key_frames`: all where they are at most
 * `max_frames`, else floor(i·n/max_frames) for i below `max_frames`. `interval`: 0, k, 2k, ... the first `max_frames`
 * of them. `all`: every one.
 */
export function selectFrames(n: number, selection: FrameSelection): number[] {
  const { frame_selection: kind, max_frames: max, frame_interval: step } = selection;
  const count = Math.max(0, Math.floor(n));
  switch (kind) {
    case 'first':
      return count > 0 ? [0] : [];
    case 'key_frames':
      return count <= max ? range(count) : range(max, (i) => Math.floor((i * count) / max));
    case 'interval':
      return range(Math.min(max, Math.ceil(count / step)), (i) => i * step);
    case 'all':
      return range(count);
  }
}

/** The same selection, of a list that is in order already. */
export function selectFrom<T>(items: readonly T[], selection: FrameSelection): T[] {
  return selectFrames(items.length, selection).flatMap((position) => items.slice(position, position + 1));
}

function range(length: number, at: (i: number) => number = (i) => i): number[] {
  return Array.from({ length }, (_, i) => at(i));
}
