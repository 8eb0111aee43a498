import { describe, expect, test } from '@jest/globals';

import type { DataReport } from '../../src/classification/data-report.ts';
import type { EpochRow } from '../../src/classification/epoch-row.ts';
import { reportPage, type ReportPage } from '../../src/classification/page/report-page.ts';

const epoch = (n: number, accuracy: number): EpochRow => ({
  epoch: n,
  train_loss: 1 / n,
  val_loss: 1.2 / n,
  val_accuracy: accuracy,
  val_f1: accuracy / 100,
  val_top5_accuracy: 100,
  learning_rate: 0.001,
  epoch_duration_seconds: 1,
  extra_metrics: {},
});

const data: DataReport = {
  images: 12,
  splits: { train: 6, val: 4, test: 1 },
  classes: [
    { name: 'a', train: 3, val: 2, test: 1 },
    { name: 'b', train: 3, val: 2, test: 0 },
  ],
  imbalance: 1,
  broken: {
    images: 1,
    by_code: { http_404: 1 },
    first: [{ id: 'i9', url: 'https://images.example.invalid/9.jpg', code: 'http_404', message: 'gone <b>' }],
  },
  undecodable: { images: 0, by_code: {}, first: [] },
  duplicates: { images: 0, first: [] },
  contradicting: { images: 0, first: [] },
  leaked: { images: 0, first: [], kept: 0 },
  small_classes: ['a', 'b'],
  left_out_labels: { inactive_class: 0, contradicting: 0, contradicting_ids: [] },
  warnings: [],
};

const HOSTILE = '<script>alert("x")</script>';

function page(part: Partial<ReportPage> = {}): string {
  const perClass = { precision: 0.5, recall: 0.5, f1: 0.5, support: 2 };
  return reportPage({
    runId: 'run',
    classNames: [HOSTILE, 'b & c'],
    metrics: {
      best_val_acc: 75,
      best_epoch: 2,
      total_time: 12,
      best_val_f1: 0.733,
      best_val_top5_acc: 100,
      val_loss: 0.4,
      ece: 0.2,
      ece_calibrated: 0.1,
      temperature: 1.3,
      baselines: { knn_acc: 50, ridge_acc: 62.5, train_images: 6, val_images: 4 },
      head_acc: 70,
      test: { accuracy: 88.8, top5_accuracy: 100, macro_f1: 0.8, ece_calibrated: 0.1, images: 1 },
      confusion_matrix: [
        [1, 1],
        [0, 2],
      ],
      per_class: { [HOSTILE]: perClass, 'b & c': perClass },
    },
    model: {
      model_name: 'demo',
      source: 'built',
      image_size: 96,
      num_classes: 2,
      feature_length: 8,
      parameters: { trained: 18, all: 1_000 },
      provider: 'cpu',
      strategy: 'head',
      logits_output: 'logits',
      export_max_abs_diff: 0,
    },
    stats: {
      epochs: 3,
      stopped_because: 'all_epochs',
      steps: 3,
      train_seconds: 3,
      late_batches: 0,
      batches: 3,
      waited_seconds: 0.5,
      balance: 'every image counts the same',
      data,
      resumed_from_epoch: null,
    },
    rows: [epoch(1, 50), epoch(2, 75), epoch(3, 70)],
    mistakes: [
      {
        id: HOSTILE,
        picture: 'data:image/jpeg;base64,AAAA',
        label: HOSTILE,
        predicted: 'b & c',
        confidence: 0.93,
        trueConfidence: 0.05,
      },
    ],
    warnings: [HOSTILE],
    ...part,
  });
}

describe('the report page', () => {
  test('needs nothing else: no script, no address of anywhere', () => {
    const html = page();
    expect(html).not.toMatch(/<script|<link|@import|url\(/i);
    expect([...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address)).toEqual([
      'data:image/jpeg;base64,AAAA',
    ]);
  });

  test('shows names as they are, whatever they are', () => {
    const html = page();
    expect(html).not.toContain(HOSTILE);
    expect(html).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;');
    expect(html).toContain('b &amp; c');
  });

  test('has figures, curves, confusions, mistakes, classes and what failed', () => {
    const html = page();
    for (const text of [
      '75.0%',
      'epoch 2 of 3',
      '88.8%',
      'k-NN 50.0%, ridge 62.5%, head 70.0%',
      '0.200 before',
    ])
      expect(html).toContain(text);
    expect(html.match(/<polyline/g)).toHaveLength(4);
    expect(html).toContain('<td class="bad" style="--share:0.500"');
    expect(html).toContain('taken for <b>b &amp; c</b> (93.0%)');
    expect(html).toContain('<code>http_404</code></td><td>gone &lt;b&gt;</td>');
  });

  test('says so where nothing was wrong, and has a list alone where a table would be too large', () => {
    const html = page({ mistakes: [], warnings: [] });
    expect(html).toContain('Every validation image was recognised.');
    expect(html).not.toContain('What to know');
    const names = Array.from({ length: 60 }, (_, i) => `class ${i}`);
    const confusion_matrix = names.map((_, i) => names.map((__, j) => (j === (i + 1) % 60 ? 1 : 0)));
    const many = page({ classNames: names, metrics: { ...metricsOfPage(), confusion_matrix } });
    expect(many).not.toContain('class="confusion"');
    expect(many).toContain('<td>class 0</td><td>class 1</td>');
  });

  test('draws one epoch as well as many', () => {
    expect(page({ rows: [epoch(1, 50)] })).not.toMatch(/NaN|Infinity/);
  });
});

function metricsOfPage(): ReportPage['metrics'] {
  return {
    best_val_acc: 0,
    best_epoch: 1,
    total_time: 0,
    best_val_f1: 0,
    best_val_top5_acc: 0,
    val_loss: 0,
    ece: 0,
    ece_calibrated: 0,
    temperature: 1,
    baselines: null,
    head_acc: null,
    test: null,
    confusion_matrix: [],
    per_class: {},
  };
}
