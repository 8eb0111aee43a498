import { describe, expect, test } from '@jest/globals';

import { readArguments } from '../../src/worker/command-line.ts';

describe('arguments', () => {
  test('nothing is the platform’s own convention', () => {
    expect(readArguments([])).toEqual({
      testInput: undefined,
      level: undefined,
      serveApi: false,
      host: 'localhost',
      port: 8000,
      concurrency: undefined,
    });
  });

  test('all, among others', () => {
    const argv = '--rp_serve_api --rp_api_host 0.0.0.0 --rp_api_port=0 --other x --rp_api_concurrency 4';
    expect(readArguments([...argv.split(' '), '--rp_log_level', 'WARN', '--test_input', '{}'])).toEqual({
      testInput: '{}',
      level: 'warn',
      serveApi: true,
      host: '0.0.0.0',
      port: 0,
      concurrency: 4,
    });
  });

  test.each([
    [['--rp_api_port', 'http'], /--rp_api_port: expected a whole number 0 to 65535/],
    [['--rp_api_port', '70000'], /--rp_api_port/],
    [['--rp_api_concurrency', '0'], /--rp_api_concurrency: expected a whole number from 1 on/],
    [['--rp_api_concurrency', '1.5'], /--rp_api_concurrency/],
    [['--rp_api_host'], /--rp_api_host: expected a value behind it/],
  ])('%j', (argv, message) => {
    expect(() => readArguments(argv)).toThrow(message);
  });
});
