import type { DecodeAnswer, DecodeOutcome } from '../decode-process.ts';
import { SMALL, type Colour } from './expected.ts';

/** What decoding may take at once by default, and Node with libvips and the file beside it. */
export const MEMORY_BOUND = 1024 ** 3 + 300 * 1024 ** 2;

/** Codes that a file may end with; all others are of addresses, stores and models. */
const CODES_OF_FILES = new Set([
  'empty',
  'not_an_image',
  'unsupported_type',
  'too_many_pixels',
  'truncated',
  'corrupt',
]);

/** What must never happen, whatever the file; undefined where it did not. */
export function faultOf(answer: DecodeAnswer | 'crashed' | 'hung'): {
  fault: string | undefined;
  outcome: string;
} {
  if (typeof answer === 'string') return { fault: answer, outcome: answer };
  const outcome = outcomeOf(answer.outcomes[0]);
  if (outcome !== 'pixels' && !CODES_OF_FILES.has(outcome)) return { fault: outcome, outcome };
  return { fault: answer.peakBytes > MEMORY_BOUND ? 'memory' : undefined, outcome };
}

/** The code of a failure, or `pixels`; for what must not be, what it was. */
export function outcomeOf(outcome: DecodeOutcome | undefined): string {
  if (outcome === undefined) return 'nothing';
  if ('code' in outcome) return outcome.code;
  if ('unforeseen' in outcome) return `unforeseen: ${outcome.unforeseen}`;
  const { width, height } = SMALL.crop ?? { width: 0, height: 0 };
  return outcome.pixels.length === width * height * 3 ? 'pixels' : `${outcome.pixels.length} bytes`;
}

/** The colours in the middle of the picture's quarters; no numbers where there is no picture. */
export function quartersOf(outcome: DecodeOutcome | undefined): Colour[] {
  const side = SMALL.crop?.width ?? 0;
  return [0, 1, 2, 3].map((quarter) => {
    const [x, y] = [quarter % 2, Math.floor(quarter / 2)].map((half) =>
      Math.floor((half + 0.5) * (side / 2)),
    );
    const at = ((y ?? 0) * side + (x ?? 0)) * 3;
    if (outcome === undefined || !('pixels' in outcome)) return [NaN, NaN, NaN];
    const { pixels } = outcome;
    return [pixels[at] ?? NaN, pixels[at + 1] ?? NaN, pixels[at + 2] ?? NaN];
  });
}
