import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import sharp from 'sharp';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');

/** A folder far from the repository with the packed package in it, as npm would have installed it. */
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gpu-handlers-package-'));
  await run('npm', ['run', '--silent', 'build'], { cwd: ROOT });
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: ROOT,
  });
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  const modules = join(folder, 'node_modules');
  const own = join(modules, 'gpu-handlers');
  await mkdir(own, { recursive: true });
  await run('tar', ['-xzf', join(folder, filename), '-C', own, '--strip-components=1']);
  // Its dependencies come from where they are installed already: tests do not ask a registry.
  const { dependencies } = JSON.parse(await readFile(join(own, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of [...Object.keys(dependencies), '@types/node']) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), join(modules, name));
  }
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'consumer', type: 'module', private: true }),
  );
}, 120_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const CONSUMER = `
import { embedding, invoke, InputError, EMBEDDING_INPUT_JSON_SCHEMA, type StatelessOutput } from 'gpu-handlers';
import { handler } from 'gpu-handlers/embedding';

const url: string = process.argv[2] ?? '';
const input = { model_type: 'demo', images: [{ id: 'a', url, type: 'cutout', external_id: 7 }] };
const output = (await invoke(embedding, input)) as StatelessOutput;
const refused: unknown = await invoke(handler, { images: 3 }).catch((error: unknown) => error);
console.log(
  JSON.stringify({
    status: output.status,
    length: output.embeddings[0]?.vector.length,
    dim: output.embedding_dim,
    external: output.embeddings[0]?.['external_id'],
    refused: refused instanceof InputError ? refused.issues[0]?.key : String(refused),
    schema: typeof EMBEDDING_INPUT_JSON_SCHEMA,
    same: handler === embedding,
  }),
);
`;

const picture = async (): Promise<string> => {
  const png = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#c04020' } })
    .png()
    .toBuffer();
  return `data:image/png;base64,${png.toString('base64')}`;
};

test('works from another folder: the types check, the handler embeds, and the process ends by itself', async () => {
  await writeFile(join(folder, 'consumer.ts'), CONSUMER);
  const options = { module: 'nodenext', strict: true, noEmit: true, types: ['node'], skipLibCheck: false };
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['consumer.ts'] }),
  );
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  await run(process.execPath, [tsc, '-p', folder], { cwd: folder });

  const { stdout } = await run(process.execPath, ['consumer.ts', await picture()], { cwd: folder });
  const said = JSON.parse(stdout) as Record<string, unknown>;
  expect(said).toMatchObject({
    status: 'success',
    external: 7,
    refused: 'images',
    schema: 'object',
    same: true,
  });
  expect(said.length).toBe(said.dim);
}, 60_000);

test('the built handler is a program: one JSON document, exit 0, or exit 1 with an error', async () => {
  const program = join(folder, 'node_modules', 'gpu-handlers', 'dist', 'handlers', 'embedding.js');
  const job = { input: { model_type: 'demo', images: [{ id: 'a', url: await picture(), type: 'product' }] } };
  const { stdout } = await run(process.execPath, [program, '--test_input', JSON.stringify(job)], {
    cwd: folder,
  });
  expect(JSON.parse(stdout)).toMatchObject({ status: 'success', processed_count: 1 });

  const failed = await run(process.execPath, [program, '--test_input', '{"input":{}}'], {
    cwd: folder,
  }).catch((error: unknown) => error as { code: number; stdout: string });
  expect(failed).toMatchObject({ code: 1 });
  expect(JSON.parse(failed.stdout)).toEqual({ error: expect.stringContaining('images') });
}, 60_000);

test('no compiled file asks for a source', async () => {
  // The compiler leaves `import()` as it is written in a function that has `using`.
  const dist = join(folder, 'node_modules', 'gpu-handlers', 'dist');
  const files = await readdir(dist, { recursive: true });
  for (const file of files.filter((name) => name.endsWith('.js')))
    expect([file, ...(await readFile(join(dist, file), 'utf8')).matchAll(/import\('[^']*\.ts'\)/g)]).toEqual([
      file,
    ]);
});

test('the command line starts from the packed package, and finds the migrations in it', async () => {
  const { bin } = JSON.parse(
    await readFile(join(folder, 'node_modules', 'gpu-handlers', 'package.json'), 'utf8'),
  ) as { bin: Record<string, string> };
  const program = join(folder, 'node_modules', 'gpu-handlers', bin['gpu-handlers'] ?? '');
  expect(await readFile(program, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  const version = await run(process.execPath, [program, '--version'], { cwd: folder });
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const help = await run(process.execPath, [program, 'help', 'extract'], { cwd: folder });
  expect(help.stdout).toContain('--product-ids');
  await readdir(join(folder, 'node_modules', 'gpu-handlers', 'supabase', 'migrations'));
}, 60_000);

test('nothing of tests, local data or models is packed', async () => {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--dry-run', '--json'], { cwd: ROOT });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const top = new Set(files.map(({ path }) => path.split('/')[0]));
  expect([...top].toSorted()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'dist',
    'package.json',
    'schemas',
    'supabase',
  ]);
});
