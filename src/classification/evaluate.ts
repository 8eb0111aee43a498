import type { PixelBatch, Loader } from './pictures/loader.ts';
import { calibrate, calibrationError, type Calibration } from './metrics/calibration.ts';
import { classificationMetrics, type ClassificationMetrics } from './metrics/metrics.ts';
import { worstMistakes, type Mistake } from './metrics/worst.ts';
import type { Splits } from './plan-data.ts';
import type { Sample } from './sample.ts';
import type { TrainedRun } from './train/run-main.ts';

/** How good the best epoch's weights are. */
export interface Evaluation {
  val: ClassificationMetrics;
  calibration: Calibration;
  /** On images that had no part in anything before; null where the dataset assigns none to test, or none can be had. */
  test: TestResult | null;
  /** Of the validation images, those got most wrong. */
  worst: WorstImage[];
}

interface TestResult extends ClassificationMetrics {
  /** With the temperature that was found on the validation images. */
  calibration_error: number;
  images: number;
}

interface WorstImage extends Omit<Mistake, 'index'> {
  sample: Sample;
}

export interface EvaluateOptions {
  run: Pick<TrainedRun, 'course'>;
  splits: Splits;
  classes: number;
}

/** Mistakes that are shown. */
const WORST = 24;

/** The validation images again, with the best weights; the test images for the first and only time. */
export async function evaluateRun({ run, splits, classes }: EvaluateOptions): Promise<Evaluation> {
  const predicted = await run.course.predict('val', 'best');
  const predictions = {
    logits: predicted.logits,
    labels: predicted.samples.map(({ label }) => label),
    classes,
  };
  const calibration = calibrate(predictions);
  const { temperature } = calibration;
  const worst = worstMistakes(predictions, WORST, temperature).flatMap(({ index, ...mistake }) => {
    const sample = predicted.samples[index];
    return sample === undefined ? [] : [{ sample, ...mistake }];
  });
  return {
    val: classificationMetrics(predictions),
    calibration,
    test: splits.test.length === 0 ? null : await testResult(run, classes, temperature),
    worst,
  };
}

async function testResult(
  { course }: Pick<TrainedRun, 'course'>,
  classes: number,
  temperature: number,
): Promise<TestResult | null> {
  const { samples, logits } = await course.predict('test', 'best');
  if (samples.length === 0) return null;
  const predictions = { logits, labels: samples.map(({ label }) => label), classes };
  return {
    ...classificationMetrics(predictions),
    calibration_error: calibrationError(predictions, temperature),
    images: samples.length,
  };
}

/** Images of the batch that an export is checked with. */
const CHECKED = 8;

/** A real batch to check an export with: the first images that can be had. */
export async function checkBatch(
  loader: Loader,
  samples: readonly Sample[],
): Promise<{ pixels: Uint8Array; count: number }> {
  const batches = loader.batches({ samples, batchSize: CHECKED, random: null });
  try {
    const first = await batches.next();
    const batch: PixelBatch | undefined = first.done === true ? undefined : first.value;
    return { pixels: new Uint8Array(batch?.pixels ?? []), count: batch?.samples.length ?? 0 };
  } finally {
    await batches.return(undefined);
  }
}
