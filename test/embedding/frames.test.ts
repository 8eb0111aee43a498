import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { selectFrames, selectFrom, type FrameSelection } from '../../src/embedding/frames.ts';

function selection(kind: FrameSelection['frame_selection'], max = 10, step = 5): FrameSelection {
  return { frame_selection: kind, max_frames: max, frame_interval: step };
}

describe('which frames', () => {
  test.each([
    ['first', 36, [0]],
    ['first', 0, []],
    ['key_frames', 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ['key_frames', 11, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ['key_frames', 36, [0, 3, 7, 10, 14, 18, 21, 25, 28, 32]],
    ['key_frames', 0, []],
    ['interval', 12, [0, 5, 10]],
    ['interval', 11, [0, 5, 10]],
    ['interval', 10, [0, 5]],
    ['interval', 1, [0]],
    ['interval', 200, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]],
    ['interval', 0, []],
    ['all', 3, [0, 1, 2]],
    ['all', 0, []],
  ] as const)('%s of %i', (kind, n, expected) => {
    expect(selectFrames(n, selection(kind))).toEqual(expected);
  });

  test('all is not capped by max_frames', () => {
    expect(selectFrames(300, selection('all', 10))).toHaveLength(300);
  });

  const any = fc.record({
    n: fc.integer({ min: 0, max: 2_000 }),
    max: fc.integer({ min: 1, max: 500 }),
    step: fc.integer({ min: 1, max: 500 }),
    kind: fc.constantFrom('first', 'key_frames', 'interval', 'all'),
  });

  test('positions exist, ascend, never repeat, start at 0 and keep to the limit', () => {
    fc.assert(
      fc.property(any, ({ n, max, step, kind }) => {
        const frames = selectFrames(n, selection(kind, max, step));
        expect(frames.length).toBe(new Set(frames).size);
        expect(frames).toEqual(frames.toSorted((a, b) => a - b));
        expect(frames.every((frame) => Number.isInteger(frame) && frame >= 0 && frame < n)).toBe(true);
        expect(frames[0]).toBe(n > 0 ? 0 : undefined);
        if (kind !== 'all') expect(frames.length).toBeLessThanOrEqual(max);
      }),
    );
  });

  test('key frames are exactly max_frames, and evenly spread to within one frame', () => {
    fc.assert(
      fc.property(any, ({ n, max }) => {
        fc.pre(n > max);
        const frames = selectFrames(n, selection('key_frames', max));
        expect(frames).toHaveLength(max);
        const gaps = [...frames.slice(1), n].map((frame, i) => frame - (frames[i] ?? NaN));
        expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('an interval is every k-th frame, as many as fit under max_frames', () => {
    fc.assert(
      fc.property(any, ({ n, max, step }) => {
        const expected = Array.from({ length: n }, (_, i) => i).filter((i) => i % step === 0);
        expect(selectFrames(n, selection('interval', max, step))).toEqual(expected.slice(0, max));
      }),
    );
  });

  test('a list is selected from as frames are', () => {
    fc.assert(
      fc.property(any, ({ n, max, step, kind }) => {
        const items = Array.from({ length: n }, (_, i) => `item ${i}`);
        const chosen = selectFrom(items, selection(kind, max, step));
        expect(chosen).toEqual(selectFrames(n, selection(kind, max, step)).map((i) => `item ${i}`));
      }),
    );
  });
});
