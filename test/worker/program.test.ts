import { EventEmitter } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { HandlerError, StoppedError } from '../../src/base/errors.ts';
import { runAsProgram } from '../../src/worker/program.ts';
import type { Handler } from '../../src/worker/types.ts';

let cwd = '';
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'program-'));
});
afterEach(async () => {
  await rm(cwd, { recursive: true });
});

const echo: Handler = (job) => Promise.resolve({ got: job.input, id: job.id });

/** Runs the handler on these arguments; what it printed, parsed, and how it ended. */
async function run(handler: Handler, argv: readonly string[], signals = new EventEmitter()) {
  let stdout = '';
  let stderr = '';
  const code = await runAsProgram(handler, {
    argv,
    cwd,
    signals,
    settings: {},
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
  });
  return { code, stdout, stderr, output: JSON.parse(stdout) as unknown, signals };
}

describe('where the job comes from', () => {
  test('--test_input', async () => {
    const { code, output, stdout } = await run(echo, [
      '--test_input',
      '{"input": {"a": [1, null]}, "id": "j1"}',
    ]);
    expect({ code, output }).toEqual({ code: 0, output: { got: { a: [1, null] }, id: 'j1' } });
    expect(stdout.endsWith('}\n')).toBe(true);
  });

  test('--test_input=..., among options that are for others', async () => {
    const { output } = await run(echo, ['--rp_serve_api', '--other', 'x', '--test_input={"input":{"a":1}}']);
    expect(output).toMatchObject({ got: { a: 1 } });
  });

  test('test_input.json of the working folder, with or without a byte order mark', async () => {
    await writeFile(join(cwd, 'test_input.json'), '\uFEFF{"input": {"a": 2}}');
    expect((await run(echo, [])).output).toMatchObject({ got: { a: 2 }, id: expect.any(String) });
  });

  test('the argument wins over the file', async () => {
    await writeFile(join(cwd, 'test_input.json'), '{"input": {"a": 2}}');
    expect((await run(echo, ['--test_input', '{"input":{"a":3}}'])).output).toMatchObject({ got: { a: 3 } });
  });
});

describe('what is wrong with it', () => {
  const never: Handler = () => Promise.reject(new Error('must not run'));

  test.each<[string, readonly string[], RegExp]>([
    ['no job at all', [], /test_input\.json: is missing; .*--test_input JSON/],
    [
      'no JSON',
      ['--test_input', '{"input": hidden4711}'],
      /--test_input: expected JSON, found a string of 21 characters/,
    ],
    ['no input', ['--test_input', '{"id": "j1"}'], /--test_input: expected \{"input": \{\.\.\.\}\}/],
    ['an input of null', ['--test_input', '{"input": null}'], /found no input/],
    ['no object', ['--test_input', '[1]'], /found no input/],
    ['no value', ['--test_input'], /--test_input: expected a value/],
    [
      'an unknown level',
      ['--test_input', '{"input":{}}', '--rp_log_level', 'loud'],
      /--rp_log_level: expected one of debug/,
    ],
  ])('%s', async (_, argv, message) => {
    const { code, output } = await run(never, argv);
    expect(code).toBe(1);
    expect(output).toEqual({ error: expect.stringMatching(message) });
    expect(JSON.stringify(output)).not.toContain('hidden4711');
  });

  test('a file that is no JSON', async () => {
    await writeFile(join(cwd, 'test_input.json'), '{"input": ');
    const { code, output } = await run(never, []);
    expect({ code, output }).toEqual({
      code: 1,
      output: { error: expect.stringContaining('test_input.json') },
    });
  });
});

describe('how it ends', () => {
  const argv = ['--test_input', '{"input":{}}'];

  test('an error of the handler is printed, without its secrets, and logged with its code', async () => {
    const { code, output, stderr } = await run(
      () => Promise.reject(new HandlerError('qdrant_unauthorized', 'refused Bearer plain4711')),
      argv,
    );
    expect({ code, output }).toEqual({ code: 1, output: { error: 'refused Bearer [redacted]' } });
    expect(stderr).toContain('qdrant_unauthorized');
    expect(stderr).not.toContain('plain4711');
  });

  test('an output with an error is printed as it is, and is a failure', async () => {
    const { code, output } = await run(() => Promise.resolve({ error: 'all failed', status: 'error' }), argv);
    expect({ code, output }).toEqual({ code: 1, output: { error: 'all failed', status: 'error' } });
  });

  test('an error of null is none', async () => {
    expect((await run(() => Promise.resolve({ error: null }), argv)).code).toBe(0);
  });

  test('no output is null', async () => {
    expect(await run(() => Promise.resolve(undefined), argv)).toMatchObject({ code: 0, stdout: 'null\n' });
  });

  test('an output that is no JSON is an error that names the path', async () => {
    const { code, output } = await run(() => Promise.resolve({ counts: { a: 1n } }), argv);
    expect({ code, output }).toEqual({
      code: 1,
      output: { error: 'output.counts.a is a BigInt, which JSON cannot hold' },
    });
  });
});

describe('the log', () => {
  const talking: Handler = (_, { log, progress }) => {
    log.debug('in detail');
    progress({ done: 1 });
    return Promise.resolve({});
  };

  test('goes to standard error, with progress in it', async () => {
    const { stdout, stderr } = await run(talking, ['--test_input', '{"input":{}, "id": "j1"}']);
    expect(stdout).toBe('{}\n');
    expect(stderr).toMatch(/"requestId":"j1","progress":\{"done":1\}/);
    expect(stderr).not.toContain('in detail');
  });

  test('--rp_log_level, in any case', async () => {
    const { stderr } = await run(talking, ['--rp_log_level', 'DEBUG', '--test_input', '{"input":{}}']);
    expect(stderr).toContain('in detail');
  });
});

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s stops the job as a shutdown, and it may still finish',
    async (name) => {
      const signals = new EventEmitter();
      const handler: Handler = async (_, { signal }) => {
        setImmediate(() => signals.emit(name, name));
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        await new Promise((resolve) => setTimeout(resolve, 20));
        signals.emit(name, name);
        const reason = signal.reason as StoppedError;
        return { ours: reason instanceof StoppedError, code: reason.code, graceMs: reason.graceMs };
      };
      const { code, output } = await run(handler, ['--test_input', '{"input":{}}'], signals);
      expect({ code, output }).toEqual({ code: 0, output: { ours: true, code: 'shutdown', graceMs: 8_000 } });
      expect(signals.listenerCount('SIGTERM') + signals.listenerCount('SIGINT')).toBe(0);
    },
  );

  test('a handler that gives up on a signal is a failure, and leaves no listener', async () => {
    const signals = new EventEmitter();
    const handler: Handler = (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as StoppedError));
        signals.emit('SIGTERM', 'SIGTERM');
      });
    const { code, output } = await run(handler, ['--test_input', '{"input":{}}'], signals);
    expect({ code, output }).toEqual({ code: 1, output: { error: 'stopped by SIGTERM' } });
    expect(signals.listenerCount('SIGTERM')).toBe(0);
  });
});
