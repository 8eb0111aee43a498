import { PassThrough } from 'node:stream';

import { expect, test } from '@jest/globals';

import { createProgressBar, timeText, type ProgressBar } from '../../src/cli/progress-bar.ts';

/** A bar on a stream that keeps what is written, with a clock of the test's own. */
function bar(isTTY: boolean): { bar: ProgressBar; at: (seconds: number) => void; text: () => string } {
  let ms = 0;
  let written = '';
  const stream = Object.assign(new PassThrough(), { isTTY });
  stream.on('data', (part: Buffer) => (written += part.toString()));
  return {
    bar: createProgressBar({
      label: 'run',
      stream: stream as unknown as NodeJS.WriteStream,
      now: () => ms,
    }),
    at: (seconds) => (ms = seconds * 1_000),
    text: () => {
      const all = written;
      written = '';
      return all;
    },
  };
}

test('on a terminal: a bar, the rate since it began, and what is left', () => {
  const { bar: shown, at, text } = bar(true);
  // A run that is looked at in its middle: what was done before says nothing of the rate.
  shown.update({ done: 200, total: 400 });
  expect(text()).toContain(`run [${'#'.repeat(16)}${'.'.repeat(16)}] 200/400 images`);
  at(10);
  shown.update({ done: 300, total: 400, failed: 2 });
  expect(text()).toContain('300/400 images, 2 failed, 10 a second, 10 s left');
  at(3_600);
  shown.update({ done: 301, total: 400 });
  expect(text()).toContain('301/400 images, 1.7 a minute, 59 min left');
  shown.update({ done: 400, total: 400 });
  expect(text()).not.toContain('left');
  shown.end();
  expect(text()).toBe('\n');
});

test('elsewhere: a line for each tenth, and no bar', () => {
  const { bar: shown, at, text } = bar(false);
  shown.update({ done: 0, total: 0 });
  for (let done = 0; done <= 100; done += 1) {
    at(done);
    shown.update({ done, total: 100 });
  }
  shown.end();
  const lines = text().trimEnd().split('\n');
  expect(lines).toHaveLength(11);
  expect(lines[5]).toBe('run: 50/100 images, 1.0 a second, 50 s left');
});

test('a run whose total is not known yet shows what is done', () => {
  const { bar: shown, text } = bar(true);
  shown.update({ done: 7, total: 0 });
  expect(text()).toContain(`[${'.'.repeat(32)}] 7/0 images`);
});

test.each([
  [0.2, '1 s'],
  [89, '89 s'],
  [600, '10 min'],
  [12_000, '3 h 20 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(timeText(seconds)).toBe(text);
});
