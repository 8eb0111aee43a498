import { argmax, logSumExp, type Predictions } from './metrics.ts';

/** One image that was got wrong. */
export interface Mistake {
  /** Position among the predictions. */
  index: number;
  label: number;
  predicted: number;
  /** Probability given to the predicted class, and to the true one. */
  confidence: number;
  trueConfidence: number;
}

/** The images that were got most wrong: of those called another class, the surest ones first. */
export function worstMistakes(
  { logits, labels, classes }: Predictions,
  count: number,
  temperature = 1,
): Mistake[] {
  const mistakes: Mistake[] = [];
  for (const [index, label] of labels.entries()) {
    const row = logits.subarray(index * classes, (index + 1) * classes);
    const predicted = argmax(row);
    if (predicted === label) continue;
    const sum = logSumExp(row, temperature);
    const share = (value: number | undefined): number => Math.exp((value ?? 0) / temperature - sum);
    mistakes.push({
      index,
      label,
      predicted,
      confidence: share(row[predicted]),
      trueConfidence: share(row[label]),
    });
  }
  return mistakes.sort((a, b) => a.trueConfidence - b.trueConfidence || a.index - b.index).slice(0, count);
}
