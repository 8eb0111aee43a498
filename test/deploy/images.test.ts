import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { MIN_CUDA_VERSION } from '../../scripts/deploy/bodies.ts';
import { faultsOf, HANDLERS } from '../../scripts/images/checks.ts';
import { parseDockerfile } from '../../scripts/images/dockerfile.ts';
import { isIgnored } from '../../scripts/images/dockerignore.ts';
import { ROOT } from './support.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const DOCKERFILE = read('Dockerfile.embedding');

describe.each(HANDLERS)('Dockerfile.%s', (handler) => {
  test('has no fault that can be seen', () => {
    expect(faultsOf(read(`Dockerfile.${handler}`), ROOT)).toEqual([]);
  });

  test('is the same as the others but for the name of the handler', () => {
    expect(read(`Dockerfile.${handler}`)).toBe(DOCKERFILE.replaceAll('embedding', handler));
  });
});

test.each([
  ['a base without an exact version', /node:24\.21\.0-/, 'node:24-', 'no exact version'],
  ['a source that is not there', 'COPY src src', 'COPY source src', 'COPY source: no such file'],
  [
    'a source that is kept out',
    'COPY src src',
    'COPY README.md src',
    'README.md: .dockerignore keeps it out',
  ],
  ['a stage that is not there', '--from=modules', '--from=module', '--from=module: no such stage'],
  ['a secret in a layer', 'ARG VERSION=', 'ARG HF_TOKEN=', 'ARG HF_TOKEN: a secret has no place'],
  ['a secret setting', 'REQUIRE_GPU=1', 'REQUIRE_GPU=1 QDRANT_API_KEY=x', 'ENV QDRANT_API_KEY: a secret'],
  ['a download without a checksum', /--checksum=\S+/, '', 'no checksum'],
  ['a process that runs as root', 'USER worker', 'USER root', 'runs as root'],
  ['a shell as process 1', /CMD \["node.*/, 'CMD node dist/handlers/embedding.js', 'not node in exec form'],
  ["the base's entry point", 'ENTRYPOINT []', '', 'ENTRYPOINT is not taken away'],
  ['no health check', /HEALTHCHECK.*/, '', 'no HEALTHCHECK'],
  ['a GPU that is not required', 'REQUIRE_GPU=1', 'REQUIRE_GPU=0', 'ENV REQUIRE_GPU'],
])('%s is found', (_, from, to, fault) => {
  const faults = faultsOf(DOCKERFILE.replace(from, to), ROOT);
  expect(faults.join('\n')).toContain(fault);
});

test('everything that may be secret or large stays out of the build', () => {
  const dockerignore = read('.dockerignore');
  for (const path of [
    '.env',
    '.env.production',
    '.git/config',
    'models/demo/model.onnx',
    '.npmrc',
    'node_modules/x/y.js',
  ])
    expect([path, isIgnored(dockerignore, path)]).toEqual([path, true]);
  for (const path of ['package.json', 'src/index.ts', 'handlers/embedding.test_input.json'])
    expect([path, isIgnored(dockerignore, path)]).toEqual([path, false]);
});

describe('versions that must agree', () => {
  const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> };
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { version: string }>;
  };
  const bases = parseDockerfile(DOCKERFILE).map(({ base }) => base);

  test("the base's Node is the one that the package is tested with", () => {
    expect(bases).toContain(`node:${devDependencies.node ?? ''}-bookworm-slim`);
  });

  test('the CUDA provider is of the ONNX Runtime that is installed, and for CUDA 12', () => {
    const version = packages['node_modules/onnxruntime-node']?.version ?? '';
    const named = [...DOCKERFILE.matchAll(/linux-x64-gpu_(cuda\d+)-(\d+\.\d+\.\d+)/g)].map(([, cuda, of]) => [
      cuda,
      of,
    ]);
    expect(named.length).toBeGreaterThan(1);
    for (const one of named) expect(one).toEqual(['cuda12', version]);
    expect(DOCKERFILE).toContain(`/download/v${version}/`);
  });

  test("the base's CUDA is the least that a machine must have", () => {
    expect(bases.at(-1)).toMatch(
      new RegExp(`^nvidia/cuda:${MIN_CUDA_VERSION.replace('.', '\\.')}\\.\\d+-cudnn-runtime-`),
    );
    for (const file of ['hub', 'tests']) {
      const { config } = JSON.parse(read(`.runpod/${file}.json`)) as {
        config: { allowedCudaVersions: string[] };
      };
      expect(config.allowedCudaVersions[0]).toBe(MIN_CUDA_VERSION);
    }
  });
});
