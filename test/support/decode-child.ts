/** Decodes what its parent sends it, one file at a time, and says what came of it and how much memory it took. */
import { readFileSync, writeFileSync } from 'node:fs';

import { ImageError, messageOf } from '../../src/base/errors.ts';
import { createDecoder } from '../../src/image/decode.ts';
import type { DecodeAnswer, DecodeQuestion } from './decode-process.ts';
import { SMALL } from './corpus/expected.ts';

const KIB = 1024;
const decode = createDecoder();

/** Forgets the peak that an earlier file left; where the system has no such thing, peaks only grow. */
function resetPeak(): void {
  globalThis.gc?.();
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not on Linux, or not allowed.
  }
}

function peakBytes(): number {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (line !== null) return Number(line[1]) * KIB;
  } catch {
    // Not on Linux.
  }
  return process.resourceUsage().maxRSS * KIB;
}

process.on('message', (question: DecodeQuestion) => {
  resetPeak();
  const files = question.files.map((bytes) =>
    decode(bytes, SMALL).then(
      (pixels) => ({ pixels }),
      (error: unknown) =>
        error instanceof ImageError ? { code: error.code } : { unforeseen: messageOf(error) },
    ),
  );
  void Promise.all(files).then((outcomes) => {
    const answer: DecodeAnswer = { outcomes, peakBytes: peakBytes() };
    process.send?.(answer);
  });
});
process.send?.('ready');
