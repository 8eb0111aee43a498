import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import { DEPLOY_SETTINGS_SCHEMA } from '../../scripts/deploy/settings.ts';
import { SettingsError } from '../../src/base/errors.ts';
import { readSettings, SETTINGS_SCHEMA } from '../../src/base/settings.ts';

describe('.env.example', () => {
  const lines = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8').split('\n');

  test('lists the variables that are read, and no other', () => {
    const listed = lines.flatMap((line) => /^([A-Z][A-Z0-9_]*)=/.exec(line)?.[1] ?? []);
    // The worker's, and those of deploy.sh. Some are read by both.
    const read = new Set([
      ...Object.keys(SETTINGS_SCHEMA.shape),
      ...Object.keys(DEPLOY_SETTINGS_SCHEMA.shape),
    ]);
    expect(listed.toSorted()).toEqual([...read].toSorted());
  });

  test('holds no value', () => {
    expect(lines.filter((line) => line !== '' && !/^(?:#.*|[A-Z][A-Z0-9_]*=)$/.test(line))).toEqual([]);
  });

  test('copied as it stands, it is as if nothing were set', () => {
    const empty = Object.fromEntries(Object.keys(SETTINGS_SCHEMA.shape).map((key) => [key, '']));
    expect(readSettings(empty)).toEqual(readSettings({}));
  });
});

describe('readSettings', () => {
  test('reads what is set, without blanks around it', () => {
    const settings = readSettings({
      SUPABASE_URL: ' https://project.example.invalid ',
      ONNX_PROVIDERS: 'CUDA, cpu',
      REQUIRE_GPU: '1',
      ALLOW_PRIVATE_HOSTS: 'false',
      BATCH_SIZE: '32',
      UNRELATED: 'x',
    });
    expect(settings).toEqual({
      SUPABASE_URL: 'https://project.example.invalid',
      ONNX_PROVIDERS: ['cuda', 'cpu'],
      REQUIRE_GPU: true,
      ALLOW_PRIVATE_HOSTS: false,
      BATCH_SIZE: 32,
    });
  });

  test('names every faulty variable at once, and no value', () => {
    const faulty = {
      SUPABASE_URL: 'ftp://user:hunter2@host',
      QDRANT_URL: 'not-an-address-4711',
      ONNX_PROVIDERS: 'cuda,tpu-4711',
      REQUIRE_GPU: 'yes-4711',
      LOG_LEVEL: 'loud-4711',
      BATCH_SIZE: '0',
    };
    let thrown: unknown;
    try {
      readSettings(faulty);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(SettingsError);
    const { message } = thrown as SettingsError;
    for (const key of Object.keys(faulty)) expect(message).toContain(key);
    expect(message).not.toMatch(/4711|hunter2/);
  });
});
