import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { ROOT } from './support.ts';

const run = promisify(execFile);

let folder: string;
let bin: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-'));
  bin = join(folder, 'bin');
  await mkdir(bin);
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A program of this name that prints the text and ends with the code. */
async function fake(name: string, text: string, code = 0): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\ncat <<'END'\n${text}\nEND\nexit ${code}\n`);
  await chmod(join(bin, name), 0o755);
}

const path = (): string => `${bin}${delimiter}${process.env.PATH ?? ''}`;

describe('assert-image.sh', () => {
  const RUNTIME = 'app/node_modules/onnxruntime-node/bin/napi-v6';
  const FILES = [
    'onnxruntime_binding.node',
    'libonnxruntime.so.1',
    'libonnxruntime_providers_shared.so',
    'libonnxruntime_providers_cuda.so',
  ];
  const LINKED = '\tlibcudart.so.12 => /usr/local/cuda/lib64/libcudart.so.12\n\tlibcuda.so.1 => not found';
  const OPENED =
    'libcudnn.so.9 (libc6,x86-64) => /usr/lib/libcudnn.so.9\nlibcufft.so.11 => /usr/lib/libcufft.so.11';

  beforeEach(async () => {
    await mkdir(join(folder, RUNTIME, 'linux/x64'), { recursive: true });
    await mkdir(join(folder, 'app/dist'));
    for (const file of FILES) await writeFile(join(folder, RUNTIME, 'linux/x64', file), '');
    for (const file of ['test_input.json', 'dist/handler.js']) await writeFile(join(folder, 'app', file), '');
    await fake('ldd', LINKED);
    await fake('ldconfig', OPENED);
    await fake('node', 'v24');
  });

  const assertImage = (handler = 'dist/handler.js', env: Record<string, string> = {}) =>
    run('sh', [join(ROOT, 'docker/assert-image.sh'), join(folder, 'app'), handler], {
      env: { PATH: path(), ...env },
    });

  test("takes an image that lacks the driver's library alone", async () => {
    await expect(assertImage()).resolves.toMatchObject({ stderr: '' });
  });

  test('refuses a provider that is linked with another CUDA', async () => {
    await fake('ldd', `${LINKED}\n\tlibcublasLt.so.13 => not found`);
    await expect(assertImage()).rejects.toMatchObject({
      stderr: expect.stringContaining('libcublasLt.so.13'),
    });
  });

  test.each(FILES)('refuses an image without %s', async (file) => {
    await rm(join(folder, RUNTIME, 'linux/x64', file));
    await expect(assertImage()).rejects.toMatchObject({ stderr: expect.stringContaining(file) });
  });

  test('refuses an image without cuDNN 9', async () => {
    await fake('ldconfig', OPENED.replaceAll('libcudnn.so.9', 'libcudnn.so.8'));
    await expect(assertImage()).rejects.toMatchObject({ stderr: expect.stringContaining('libcudnn.so.9') });
  });

  test("refuses other platforms' binaries", async () => {
    await mkdir(join(folder, RUNTIME, 'win32'));
    await expect(assertImage()).rejects.toMatchObject({ stderr: expect.stringContaining('win32') });
  });

  test('refuses a handler that is not built, an allocator that is not there, a module that does not load', async () => {
    await expect(assertImage('dist/other.js')).rejects.toMatchObject({
      stderr: expect.stringContaining('other.js'),
    });
    await expect(assertImage('dist/handler.js', { LD_PRELOAD: '/nowhere.so' })).rejects.toMatchObject({
      stderr: expect.stringContaining('/nowhere.so is missing'),
    });
    await fake('node', '', 1);
    await expect(assertImage()).rejects.toMatchObject({ stderr: expect.stringContaining('native module') });
  });
});

describe('health.sh', () => {
  const health = async (state: string, env: Record<string, string> = {}): Promise<number> => {
    await writeFile(join(folder, 'status'), `Name:\tnode\nState:\t${state}\n`);
    const script = join(ROOT, 'docker/health.sh');
    const running = run('sh', [script, join(folder, 'status')], { env: { PATH: path(), ...env } });
    return running.then(
      () => 0,
      (error: unknown) => (error as { code: number }).code,
    );
  };

  test('the process decides, and the GPU where one was promised', async () => {
    await fake('nvidia-smi', 'GPU 0: NVIDIA L4');
    expect(await health('S (sleeping)', { REQUIRE_GPU: '1' })).toBe(0);
    expect(await health('R (running)')).toBe(0);
    expect(await health('Z (zombie)')).toBe(1);
    expect(await health('T (stopped)')).toBe(1);
    await fake('nvidia-smi', 'Unable to determine the device handle for GPU', 15);
    expect(await health('S (sleeping)', { REQUIRE_GPU: '1' })).toBe(1);
    expect(await health('S (sleeping)', { REQUIRE_GPU: '0' })).toBe(0);
  });
});

test("the embedding image's own test input runs where nothing is set: no database, no download", async () => {
  await cp(join(ROOT, 'handlers/embedding.test_input.json'), join(folder, 'test_input.json'));
  const PATH = dirname(process.execPath);
  const { stdout } = await run(process.execPath, [join(ROOT, 'handlers/embedding.ts')], {
    cwd: folder,
    env: { PATH, HOME: folder, HF_HUB_OFFLINE: '1' },
    maxBuffer: 2 ** 26,
  });
  const output = JSON.parse(stdout) as { status: string; failed_count: number; embeddings: { id: string }[] };
  expect(output).toMatchObject({ status: 'success', failed_count: 0 });
  expect(output.embeddings.map(({ id }) => id)).toEqual(['smoke-product', 'smoke-cutout']);
});
