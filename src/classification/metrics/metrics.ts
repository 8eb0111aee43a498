/** What a classifier gets right, class by class. Accuracies are percentages, all other shares 0 to 1. */
export interface ClassificationMetrics {
  /** Percent. */
  accuracy: number;
  /** Percent whose class is among the five likeliest; of five classes or fewer that is all. */
  top5Accuracy: number;
  /** Mean over the classes that there are images of. */
  macroF1: number;
  /** `[true class][predicted class]`, counts. */
  confusion: number[][];
  perClass: ClassMetrics[];
  /** Mean cross-entropy, natural logarithm. */
  loss: number;
}

export interface ClassMetrics {
  /** Of what was called this class, the share that is; 0 where nothing was. */
  precision: number;
  /** Of what is this class, the share that was called so; 0 where there is nothing. */
  recall: number;
  f1: number;
  /** Images of the class. */
  support: number;
}

export interface Predictions {
  /** `[images, classes]`. */
  logits: Float32Array;
  /** True classes, by image. */
  labels: readonly number[];
  classes: number;
}

const TOP = 5;

export function classificationMetrics({ logits, labels, classes }: Predictions): ClassificationMetrics {
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  let [right, inTop, loss] = [0, 0, 0];
  for (const [i, label] of labels.entries()) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const own = row[label] ?? -Infinity;
    const predicted = argmax(row);
    const counts = confusion[label];
    if (counts !== undefined) counts[predicted] = (counts[predicted] ?? 0) + 1;
    if (predicted === label) right += 1;
    if (row.reduce((better, value) => better + (value > own ? 1 : 0), 0) < TOP) inTop += 1;
    loss += logSumExp(row) - own;
  }
  const perClass = perClassMetrics(confusion);
  const seen = perClass.filter(({ support }) => support > 0);
  const count = Math.max(1, labels.length);
  return {
    accuracy: (100 * right) / count,
    top5Accuracy: (100 * inTop) / count,
    macroF1: seen.reduce((sum, { f1 }) => sum + f1, 0) / Math.max(1, seen.length),
    confusion,
    perClass,
    loss: loss / count,
  };
}

function perClassMetrics(confusion: readonly (readonly number[])[]): ClassMetrics[] {
  return confusion.map((row, label) => {
    const right = row[label] ?? 0;
    const support = row.reduce((a, b) => a + b, 0);
    const predicted = confusion.reduce((sum, other) => sum + (other[label] ?? 0), 0);
    const precision = predicted === 0 ? 0 : right / predicted;
    const recall = support === 0 ? 0 : right / support;
    const f1 = right === 0 ? 0 : (2 * precision * recall) / (precision + recall);
    return { precision, recall, f1, support };
  });
}

/** The first of the largest. */
export function argmax(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i += 1) if ((row[i] ?? 0) > (row[best] ?? 0)) best = i;
  return best;
}

export function logSumExp(row: Float32Array, temperature = 1): number {
  let highest = -Infinity;
  for (const value of row) highest = Math.max(highest, value / temperature);
  let sum = 0;
  for (const value of row) sum += Math.exp(value / temperature - highest);
  return highest + Math.log(sum);
}
