import { argmax, logSumExp, type Predictions } from './metrics.ts';

/** How far confidence and accuracy are apart (Guo et al., 2017). */
export interface Calibration {
  /** Logits are divided by it: the one with the lowest cross-entropy on these predictions. */
  temperature: number;
  /** Expected calibration error, 0 to 1, with the logits as they are. */
  before: number;
  /** With the logits divided, each half of the images by what was found on the other half: else it would look too good. */
  after: number;
}

const BINS = 15;
/** Few images that are all right would have it go to nothing, and many that are wrong to infinity. */
const [COLDEST, HOTTEST] = [0.2, 10];
const GOLDEN = (Math.sqrt(5) - 1) / 2;
const SEARCH_STEPS = 40;

export function calibrate(predictions: Predictions): Calibration {
  const temperature = fitTemperature(predictions);
  return {
    temperature,
    before: calibrationError(predictions),
    after: calibrationError(acrossHalves(predictions)),
  };
}

/** Every other image's logits divided by the temperature of those between. */
function acrossHalves(predictions: Predictions): Predictions {
  const { logits, classes } = predictions;
  const temperatures = [1, 0].map((half) => fitTemperature(everyOther(predictions, half)));
  const divided = logits.map((logit, i) => logit / (temperatures[Math.floor(i / classes) % 2] ?? 1));
  return { ...predictions, logits: divided };
}

function everyOther({ logits, labels, classes }: Predictions, first: number): Predictions {
  const isOfHalf = (image: number): boolean => image % 2 === first;
  return {
    logits: logits.filter((_, i) => isOfHalf(Math.floor(i / classes))),
    labels: labels.filter((_, image) => isOfHalf(image)),
    classes,
  };
}

/** Mean over bins of confidence of the distance between it and the accuracy, weighted by their images. */
export function calibrationError({ logits, labels, classes }: Predictions, temperature = 1): number {
  const bins = Array.from({ length: BINS }, () => ({ count: 0, confidence: 0, right: 0 }));
  for (const [i, label] of labels.entries()) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const predicted = argmax(row);
    const confidence = Math.exp((row[predicted] ?? 0) / temperature - logSumExp(row, temperature));
    const bin = bins[Math.min(BINS - 1, Math.floor(confidence * BINS))];
    if (bin === undefined) continue;
    bin.count += 1;
    bin.confidence += confidence;
    bin.right += predicted === label ? 1 : 0;
  }
  const apart = bins.reduce((sum, { confidence, right }) => sum + Math.abs(confidence - right), 0);
  return apart / Math.max(1, labels.length);
}

/** By golden sections of its logarithm: the cross-entropy has one lowest point there. */
function fitTemperature(predictions: Predictions): number {
  if (predictions.labels.length === 0) return 1;
  let [low, high] = [Math.log(COLDEST), Math.log(HOTTEST)];
  const lossAt = (log: number): number => crossEntropy(predictions, Math.exp(log));
  let [a, b] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
  let [lossA, lossB] = [lossAt(a), lossAt(b)];
  for (let i = 0; i < SEARCH_STEPS; i += 1) {
    if (lossA < lossB) {
      [high, b, lossB] = [b, a, lossA];
      a = high - GOLDEN * (high - low);
      lossA = lossAt(a);
    } else {
      [low, a, lossA] = [a, b, lossB];
      b = low + GOLDEN * (high - low);
      lossB = lossAt(b);
    }
  }
  return Math.exp((low + high) / 2);
}

function crossEntropy({ logits, labels, classes }: Predictions, temperature: number): number {
  let loss = 0;
  for (const [i, label] of labels.entries()) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    loss += logSumExp(row, temperature) - (row[label] ?? 0) / temperature;
  }
  return loss / labels.length;
}
