import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';

import { createVectorStore } from '../../src/qdrant/store.ts';
import { createDatabase } from '../../src/supabase/database.ts';
import { putDrawnShelf } from '../support/drawn-shelf.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');

/** One folder for both commands. */
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gpu-handlers-demo-'));
  await putDrawnShelf(folder);
}, 240_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('the demo finds the products on the cutouts, where mean colour does not', async () => {
  const { stdout } = await run(process.execPath, ['src/demo/demo.ts', '--json', '--folder', folder], {
    cwd: ROOT,
  });
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, number> & {
    collections: Record<string, unknown>;
    failed_by_code: Record<string, number>;
  };
  expect(Object.keys(result)).toEqual([
    'collections',
    'processed',
    'failed',
    'failed_by_code',
    'recall_at_1',
    'recall_at_1_families',
    'mean_colour_families',
    'seconds',
  ]);
  // 60 products of 12 frames, 12 of them with 40 cutouts and 48 with 2; nothing mixed.
  expect(result.collections).toEqual({
    products_demo: { points: 720, product: 720, cutout: 0 },
    cutouts_demo: { points: 576, product: 0, cutout: 576 },
  });
  expect(result.processed).toBe(720 + 576);
  expect(result.failed).toBe(5);
  expect(result.failed_by_code).toEqual({
    http_404: 1,
    truncated: 1,
    not_an_image: 1,
    unsupported_type: 1,
    empty: 1,
  });
  expect(result.recall_at_1).toBeGreaterThanOrEqual(0.9);
  expect(result.recall_at_1).toBeLessThanOrEqual(1);
  expect((result.recall_at_1_families ?? 0) - (result.mean_colour_families ?? 1)).toBeGreaterThanOrEqual(0.2);

  const page = await readFile(join(folder, 'report.html'), 'utf8');
  const pictures = [...page.matchAll(/src="([^"]+)"/g)].map(([, file]) => file ?? '');
  expect(pictures).toHaveLength(576 * 4);
  await Promise.all([...new Set(pictures)].map((file) => access(join(folder, file))));
}, 240_000);

interface Local {
  addresses: Record<string, string>;
  end(): Promise<number | null>;
}

const running = new Set<ChildProcess>();

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

async function startLocal(): Promise<Local> {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'local', '--json', '--folder', folder], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  running.add(child);
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return {
    addresses: JSON.parse(line) as Record<string, string>,
    async end() {
      child.kill('SIGTERM');
      const [code] = await exited;
      running.delete(child);
      return code;
    },
  };
}

const open = (
  local: Local,
): { database: ReturnType<typeof createDatabase>; store: ReturnType<typeof createVectorStore> } => {
  const {
    supabase_url: url = '',
    supabase_service_key: key = '',
    qdrant_url = '',
    qdrant_api_key = '',
  } = local.addresses;
  return {
    database: createDatabase({ url, key }),
    store: createVectorStore({ url: qdrant_url, apiKey: qdrant_api_key }),
  };
};

const FRAMES = z.object({ id: z.string(), frames_path: z.string(), status: z.string().nullable() });

test('the training demo learns the products, and learns nothing from shuffled labels', async () => {
  const { stdout } = await run(process.execPath, ['src/demo/cls.ts', '--json', '--folder', folder], {
    cwd: ROOT,
  });
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, number> & {
    strategy: string;
  };
  expect(Object.keys(result)).toEqual([
    'best_val_acc',
    'baseline_knn_acc',
    'shuffled_labels_acc',
    'epochs',
    'export_max_abs_diff',
    'seconds',
    'rows',
    'strategy',
  ]);
  expect(result.best_val_acc).toBeGreaterThanOrEqual(90);
  // What training adds to the features that it began with.
  expect(result.best_val_acc).toBeGreaterThan(result.baseline_knn_acc ?? 100);
  expect(result.strategy).toBe('full');
  expect(result.shuffled_labels_acc).toBeLessThan(25);
  expect(result.rows).toBe(result.epochs);
  expect(result.export_max_abs_diff).toBeLessThan(1e-4);
  expect(await readFile(join(folder, 'training-report.html'), 'utf8')).toContain('<h2>Confusion matrix</h2>');
}, 240_000);

test('the local cloud stays, keeps what was written, and ends when told to', async () => {
  const first = await startLocal();
  expect(Object.keys(first.addresses)).toEqual([
    'supabase_url',
    'supabase_service_key',
    'qdrant_url',
    'qdrant_api_key',
    'images_url',
  ]);
  const { database, store } = open(first);
  const products = { table: 'products', columns: 'id,frames_path,status', schema: FRAMES };
  const product = await database.find(products);
  const picture = await fetch(`${product?.frames_path ?? ''}/frame_0000.png`);
  expect(picture.headers.get('content-type')).toBe('image/png');
  await picture.arrayBuffer();
  expect((await fetch(`${first.addresses.qdrant_url ?? ''}/collections`)).status).toBe(401);

  await store.ensure('kept', 2);
  await store.upsert('kept', [{ id: 1, vector: Float32Array.of(1, 0), payload: { source: 'product' } }]);
  const filters = [{ column: 'id', op: 'eq', value: product?.id ?? '' }] as const;
  await database.update({ table: 'products', values: { status: 'seen' }, filters });
  expect(await first.end()).toBe(0);
  await expect(fetch(first.addresses.images_url ?? '')).rejects.toThrow('fetch failed');

  const second = await startLocal();
  expect(second.addresses).toEqual(first.addresses);
  const again = open(second);
  expect(await again.store.count('kept')).toBe(1);
  const kept = await again.database.find({ ...products, filters });
  expect(kept?.status).toBe('seen');
  expect(kept?.frames_path.startsWith(second.addresses.images_url ?? '-')).toBe(true);
  expect(await second.end()).toBe(0);
}, 240_000);
