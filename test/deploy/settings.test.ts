import { expect, test } from '@jest/globals';

import { readDeploySettings, WORKER_KEYS } from '../../scripts/deploy/settings.ts';
import { SETTINGS_SCHEMA } from '../../src/base/settings.ts';

/** Settings of the package that a worker in the cloud has no use for. RUNPOD_* are the platform's to set. */
const NOT_FOR_WORKERS = ['LOCAL_ENDPOINT_KEY'];

test('each setting of the package is either handed to the workers, or said not to be', () => {
  const own = Object.keys(SETTINGS_SCHEMA.shape).filter((key) => !/^(?:RUNPOD|OTEL|API)_/.test(key));
  expect([...WORKER_KEYS, ...NOT_FOR_WORKERS].toSorted()).toEqual(own.toSorted());
});

const FILE = { RUNPOD_API_KEY: 'key', IMAGE_REPOSITORY: 'acme/x' };

test('the key and the repository are enough', () => {
  const settings = readDeploySettings({ file: FILE, environment: {}, needsKey: true });
  expect(settings).toMatchObject({ DEPLOY_NAME: 'gpu-handlers', workerEnv: {}, jobTimeoutMs: undefined });
});

test("OpenTelemetry's own settings go along, those too that its SDK alone reads", () => {
  const telemetry = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://traces.example',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=abc',
    OTEL_SERVICE_NAME: 'shelf',
  };
  const { workerEnv } = readDeploySettings({
    file: { ...FILE, ...telemetry },
    environment: {},
    needsKey: true,
  });
  expect(workerEnv).toEqual(telemetry);
});

test('the environment goes before the file, an empty value before nothing', () => {
  const environment = { IMAGE_REPOSITORY: 'acme/y', RUNPOD_API_KEY: '' };
  const settings = readDeploySettings({ file: FILE, environment, needsKey: true });
  expect(settings).toMatchObject({ IMAGE_REPOSITORY: 'acme/y', RUNPOD_API_KEY: 'key' });
});

test("a worker's setting that is wrong is found before it is deployed", () => {
  const file = { ...FILE, SUPABASE_URL: 'project-4711', DEPLOY_GPU_POOLS: 'ADA_25' };
  const reading = (): unknown => readDeploySettings({ file, environment: {}, needsKey: true });
  expect(reading).toThrow(/DEPLOY_GPU_POOLS.*SUPABASE_URL/);
  expect(reading).not.toThrow(/4711/);
});
