import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { readDataset } from '../../src/classification/dataset.ts';
import type { Dataset } from '../../src/classification/sample.ts';
import type { ClassificationInput } from '../../src/classification/input.ts';
import { testSupabase, type TestSupabase } from '../support/supabase.ts';
import { NEVER } from './support.ts';

let supabase: TestSupabase;

beforeAll(async () => {
  supabase = await testSupabase();
}, 120_000);

afterAll(async () => {
  await supabase[Symbol.asyncDispose]();
});

type Row = Record<string, unknown>;

async function insert(table: string, rows: readonly Row[]): Promise<void> {
  const names = Object.keys(rows[0] ?? {}).join(', ');
  await supabase.sql(
    `insert into ${table} (${names}) select ${names} from jsonb_populate_recordset(null::${table}, $1::jsonb)`,
    [JSON.stringify(rows)],
  );
}

interface Given {
  classes: Record<string, { active?: boolean; images: number; split?: (i: number) => string | null }>;
  taskType?: string;
}

/** A dataset of the database: images of each class, and their ids by class. */
async function given({
  classes,
  taskType = 'single_label',
}: Given): Promise<{ id: string; images: Record<string, string[]> }> {
  const id = randomUUID();
  await insert('cls_datasets', [{ id, name: 'shelf', task_type: taskType }]);
  const images: Record<string, string[]> = {};
  for (const [name, { active = true, images: count, split = () => null }] of Object.entries(classes)) {
    const classId = randomUUID();
    await insert('cls_classes', [{ id: classId, dataset_id: id, name, is_active: active }]);
    const ids = Array.from({ length: count }, () => randomUUID());
    images[name] = ids;
    if (count === 0) continue;
    await insert(
      'cls_images',
      ids.map((image) => ({
        id: image,
        filename: 'x.jpg',
        image_url: `https://images.example.invalid/${image}.jpg`,
      })),
    );
    await insert(
      'cls_dataset_images',
      ids.map((image, i) => ({ dataset_id: id, image_id: image, status: 'labeled', split: split(i) })),
    );
    await insert(
      'cls_labels',
      ids.map((image) => ({ dataset_id: id, image_id: image, class_id: classId })),
    );
  }
  return { id, images };
}

function read(
  input: Pick<ClassificationInput, 'dataset_id' | 'dataset'>,
  warnings: string[] = [],
): Promise<Dataset> {
  return readDataset({
    input,
    database: supabase.database,
    warn: (message) => warnings.push(message),
    signal: NEVER,
  });
}

describe('a dataset of the database', () => {
  test('has its active classes by name, and each labelled image with its label and split', async () => {
    const { id, images } = await given({
      classes: {
        cola: { images: 3, split: (i) => ['train', 'val', 'test'][i] ?? null },
        apple: { images: 2, split: (i) => (i === 0 ? 'unassigned' : null) },
        banana: { images: 1, active: false },
      },
    });
    const dataset = await read({ dataset_id: id });
    expect(dataset).toMatchObject({
      name: 'dataset shelf',
      classNames: ['apple', 'cola'],
      leftOut: { inactive_class: 1 },
    });
    const found = new Map(
      dataset.samples.map(({ id: image, label, assigned }) => [image, [label, assigned]]),
    );
    expect(found.size).toBe(5);
    expect(images.cola?.map((image) => found.get(image))).toEqual([
      [1, 'train'],
      [1, 'val'],
      [1, 'test'],
    ]);
    expect(images.apple?.map((image) => found.get(image))).toEqual([
      [0, null],
      [0, null],
    ]);
  });

  test('of 5,000 labels is read whole, each once', async () => {
    const { id, images } = await given({ classes: { a: { images: 3_000 }, b: { images: 2_000 } } });
    const { samples } = await read({ dataset_id: id });
    expect(samples).toHaveLength(5_000);
    expect(new Set(samples.map((sample) => sample.id))).toEqual(
      new Set([...(images.a ?? []), ...(images.b ?? [])]),
    );
    expect(samples.filter(({ label }) => label === 1)).toHaveLength(2_000);
  });

  test('leaves out images that carry labels of two classes, and says so', async () => {
    const { id, images } = await given({ classes: { a: { images: 2 }, b: { images: 2 } } });
    const [image] = images.a ?? [];
    await supabase.sql(
      `insert into cls_labels (dataset_id, image_id, class_id) select $1, $2, id from cls_classes where dataset_id = $1 and name = 'b'`,
      [id, image],
    );
    const { samples, leftOut } = await read({ dataset_id: id });
    expect(samples).toHaveLength(3);
    expect(leftOut).toMatchObject({ contradicting: 1, contradicting_ids: [image] });
  });

  test('knows a storage path from an address', async () => {
    const { id, images } = await given({ classes: { a: { images: 1 }, b: { images: 1 } } });
    await supabase.sql(`update cls_images set image_url = '/shelf/1.jpg' where id = $1`, [images.a?.[0]]);
    const { samples } = await read({ dataset_id: id });
    expect(samples.find(({ label }) => label === 0)).toMatchObject({
      url: '/shelf/1.jpg',
      storage: { bucket: 'frames', path: 'shelf/1.jpg' },
    });
    expect(samples.find(({ label }) => label === 1)?.storage).toBeNull();
  });
});

describe('what is refused, each saying what is missing', () => {
  test('no such dataset', async () => {
    const id = randomUUID();
    await expect(read({ dataset_id: id })).rejects.toMatchObject({
      code: 'dataset_not_found',
      message: expect.stringContaining(id) as unknown,
    });
  });

  test('several labels an image', async () => {
    const { id } = await given({ classes: {}, taskType: 'multi_label' });
    await expect(read({ dataset_id: id })).rejects.toMatchObject({
      code: 'multi_label_unsupported',
      message: expect.stringMatching(/^dataset shelf has task_type multi_label/) as unknown,
    });
  });

  test('a single class, or one that alone is active', async () => {
    const one = await given({ classes: { cola: { images: 5 } } });
    await expect(read({ dataset_id: one.id })).rejects.toMatchObject({
      code: 'too_few_classes',
      message: 'dataset shelf has one active class, cola: training needs at least two',
    });
    const active = await given({ classes: { cola: { images: 5 }, apple: { images: 5, active: false } } });
    await expect(read({ dataset_id: active.id })).rejects.toMatchObject({ code: 'too_few_classes' });
  });

  test('none at all, and no image', async () => {
    const none = await given({ classes: {} });
    await expect(read({ dataset_id: none.id })).rejects.toMatchObject({
      code: 'too_few_classes',
      message: 'dataset shelf has no active class: training needs at least two',
    });
    const bare = await given({
      classes: { a: { images: 0 }, b: { images: 0 }, c: { images: 2, active: false } },
    });
    await expect(read({ dataset_id: bare.id })).rejects.toMatchObject({
      code: 'no_images',
      message:
        'dataset shelf has 2 classes and no labelled image (2 labels are of classes that are not active): training needs images of at least two classes',
    });
  });
});

describe('a dataset of the job itself', () => {
  const images = (n: number) =>
    Array.from({ length: n }, (_, i) => ({ url: `https://images.example.invalid/${i}.jpg`, label: i % 2 }));

  test('keeps its split, with ids that say where each image stands', async () => {
    const dataset = { class_names: ['a', 'b'], train_urls: images(4), val_urls: images(2) };
    const { samples, classNames } = await read({ dataset });
    expect(classNames).toEqual(['a', 'b']);
    expect(samples.map(({ id, label, assigned }) => [id, label, assigned])).toEqual([
      ['train_urls[0]', 0, 'train'],
      ['train_urls[1]', 1, 'train'],
      ['train_urls[2]', 0, 'train'],
      ['train_urls[3]', 1, 'train'],
      ['val_urls[0]', 0, 'val'],
      ['val_urls[1]', 1, 'val'],
    ]);
  });

  test('without images to validate with, has none assigned', async () => {
    const { samples } = await read({
      dataset: { class_names: ['a', 'b'], train_urls: images(4), val_urls: [] },
    });
    expect(samples.every(({ assigned }) => assigned === null)).toBe(true);
  });

  test('gives way to dataset_id, with a warning', async () => {
    const { id } = await given({ classes: { a: { images: 1 }, b: { images: 1 } } });
    const warnings: string[] = [];
    const { name } = await read(
      { dataset_id: id, dataset: { class_names: ['x', 'y'], train_urls: images(2), val_urls: [] } },
      warnings,
    );
    expect(name).toBe('dataset shelf');
    expect(warnings).toEqual(['both dataset_id and dataset are given: dataset_id is used']);
  });
});

test('a database without splits has none assigned', async () => {
  const { id } = await given({ classes: { a: { images: 1, split: () => 'val' }, b: { images: 1 } } });
  await supabase.sql('alter table cls_dataset_images rename column split to other');
  try {
    const warnings: string[] = [];
    const { samples } = await read({ dataset_id: id }, warnings);
    expect(samples.map(({ assigned }) => assigned)).toEqual([null, null]);
    expect(warnings).toEqual([expect.stringMatching(/^the splits of cls_dataset_images could not be read/)]);
  } finally {
    await supabase.sql('alter table cls_dataset_images rename column other to split');
  }
});
