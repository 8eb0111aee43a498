import { escapeHtml } from '../../base/html.ts';
import type { DataReport } from '../data-report.ts';
import type { EpochRow } from '../epoch-row.ts';
import type { ModelInfo, RunMetrics, TrainingStats } from '../output.ts';
import { confusionHtml } from './confusion.ts';
import { curvesSvg } from './curves.ts';
import { STYLE } from './style.ts';

export interface ReportPage {
  runId: string;
  classNames: readonly string[];
  metrics: RunMetrics;
  model: ModelInfo;
  stats: Omit<TrainingStats, 'artefacts'>;
  rows: readonly EpochRow[];
  mistakes: readonly PictureOfMistake[];
  warnings: readonly string[];
}

export interface PictureOfMistake {
  id: string;
  /** A `data:` url. */
  picture: string;
  label: string;
  predicted: string;
  confidence: number;
  trueConfidence: number;
}

/** What a run came to as one page that needs nothing else: no script, no font, no picture from elsewhere. */
export function reportPage(report: ReportPage): string {
  const { classNames, metrics, rows, mistakes } = report;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training run ${escapeHtml(report.runId)}</title>
<style>${STYLE}</style>
<header>
<h1>${escapeHtml(report.model.model_name)}, ${classNames.length} classes</h1>
<p>Training run ${escapeHtml(report.runId)}</p>
<dl>${figures(report)
    .map(
      ([name, value, note]) =>
        `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}<small>${escapeHtml(note)}</small></dd></div>`,
    )
    .join('')}</dl>
</header>
${warningsHtml(report.warnings)}
<section><h2>Course of the training</h2><div class="charts">${charts(rows, metrics.best_epoch)}</div></section>
<section><h2>Confusion matrix</h2>${confusionHtml(metrics.confusion_matrix, classNames)}</section>
<section><h2>Worst mistakes <span>${mistakes.length}</span></h2>${mistakesHtml(mistakes)}</section>
<section><h2>Classes</h2>${classesHtml(report)}</section>
<section><h2>Data</h2>${dataHtml(report.stats.data)}</section>
</html>
`;
}

function figures({ metrics, model, stats, rows }: ReportPage): [string, string, string][] {
  const { baselines, head_acc: head, test } = metrics;
  const beginnings = [
    baselines && `k-NN ${percent(baselines.knn_acc)}`,
    baselines && `ridge ${percent(baselines.ridge_acc)}`,
    head !== null && `head ${percent(head)}`,
  ].filter((text) => typeof text === 'string');
  return [
    ['Validation accuracy', percent(metrics.best_val_acc), `epoch ${metrics.best_epoch} of ${rows.length}`],
    ['Macro F1', metrics.best_val_f1.toFixed(3), `top five: ${percent(metrics.best_val_top5_acc)}`],
    ...(test === null
      ? []
      : [
          ['Test accuracy', percent(test.accuracy), `${test.images} images, looked at once`] as [
            string,
            string,
            string,
          ],
        ]),
    ['Frozen features', baselines === null ? '–' : percent(baselines.knn_acc), beginnings.join(', ')],
    [
      'Calibration error',
      metrics.ece_calibrated.toFixed(3),
      `${metrics.ece.toFixed(3)} before, temperature ${metrics.temperature.toFixed(2)}`,
    ],
    [
      'Strategy',
      model.strategy,
      `${model.parameters.trained.toLocaleString('en')} of ${model.parameters.all.toLocaleString('en')} numbers trained, on ${model.provider}`,
    ],
    [
      'Time',
      `${metrics.total_time.toFixed(0)} s`,
      `${stats.train_seconds.toFixed(0)} s of training, ${stats.waited_seconds.toFixed(1)} s of it waiting for data`,
    ],
  ];
}

function charts(rows: readonly EpochRow[], best: number): string {
  const losses = [
    { name: 'training', colour: 'var(--two)', values: rows.map((row) => row.train_loss) },
    { name: 'validation', colour: 'var(--one)', values: rows.map((row) => row.val_loss) },
  ];
  const accuracies = [
    { name: 'accuracy', colour: 'var(--one)', values: rows.map((row) => row.val_accuracy) },
    { name: 'macro F1', colour: 'var(--two)', values: rows.map((row) => 100 * row.val_f1) },
  ];
  return (
    curvesSvg(losses, { best, unit: '', label: 'Loss' }) +
    curvesSvg(accuracies, { best, unit: '%', label: 'Validation', most: 100 })
  );
}

function mistakesHtml(mistakes: readonly PictureOfMistake[]): string {
  if (mistakes.length === 0) return '<p>Every validation image was recognised.</p>';
  const cards = mistakes.map(
    ({ id, picture, label, predicted, confidence, trueConfidence }) =>
      `<figure><img src="${escapeHtml(picture)}" alt="${escapeHtml(label)}"><figcaption>taken for <b>${escapeHtml(predicted)}</b> (${percent(100 * confidence)})<br>` +
      `is ${escapeHtml(label)} (${percent(100 * trueConfidence)})<br><small>${escapeHtml(id)}</small></figcaption></figure>`,
  );
  return `<p>Validation images of which the classifier was surest that they are something else.</p><div class="mistakes">${cards.join('')}</div>`;
}

function classesHtml({ classNames, metrics, stats }: ReportPage): string {
  const rows = classNames.map((name, label) => {
    const found = metrics.per_class[name];
    const images = stats.data.classes[label];
    const cells = [
      images?.train ?? 0,
      found?.support ?? 0,
      ...[found?.precision, found?.recall, found?.f1].map((value) => (value ?? 0).toFixed(3)),
    ];
    return `<tr><td>${escapeHtml(name)}</td>${cells.map((cell) => `<td class="number">${cell}</td>`).join('')}</tr>`;
  });
  return (
    '<div class="scroll"><table><thead><tr><th>class</th><th>training images</th><th>validation images</th>' +
    `<th>precision</th><th>recall</th><th>F1</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`
  );
}

function dataHtml({ images, splits, broken, undecodable }: DataReport): string {
  const failed = [...broken.first, ...undecodable.first];
  const more = broken.images + undecodable.images - failed.length;
  const text = `${images} labelled images: ${splits.train} to train, ${splits.val} to validate, ${splits.test} to test.`;
  if (failed.length === 0) return `<p>${text}</p>`;
  const rows = failed.map(
    ({ id, url, code, message }) =>
      `<tr><td><code>${escapeHtml(code)}</code></td><td>${escapeHtml(message)}</td><td>${escapeHtml(url)}</td><td><code>${escapeHtml(id)}</code></td></tr>`,
  );
  return (
    `<p>${text} ${broken.images + undecodable.images} could not be had${more > 0 ? `; the first ${failed.length}:` : ':'}</p>` +
    `<div class="scroll"><table>${rows.join('')}</table></div>`
  );
}

function warningsHtml(warnings: readonly string[]): string {
  if (warnings.length === 0) return '';
  const items = warnings.map((warning) => `<li>${escapeHtml(warning)}</li>`).join('');
  return `<section><h2>What to know <span>${warnings.length}</span></h2><div class="card"><ul>${items}</ul></div></section>`;
}

function percent(value: number): string {
  return `${value.toFixed(1)}%`;
}
