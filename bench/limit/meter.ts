import { createMeter } from '../../src/flow/meter.ts';

const IMAGES = 100_000;
const STAGES = ['list', 'download', 'decode', 'embed', 'write'];

/** Microseconds of the main thread that the stage meter takes for an image that goes through every stage by itself. */
export function measureMeter(): number {
  const meter = createMeter();
  const places = STAGES.map((name) => meter.stage(name, 2).open());
  const begun = performance.now();
  for (let i = 0; i < IMAGES; i += 1) {
    for (const place of places) {
      place.to('working');
      place.to('held');
      place.to('waiting');
    }
  }
  return ((performance.now() - begun) * 1_000) / IMAGES;
}
