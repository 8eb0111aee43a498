import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const PROGRAM = fileURLToPath(new URL('../../src/worker/serve.ts', import.meta.url));

/** Does what the input says: return it, fail, or wait for the signal and tell its reason. */
const HANDLER = `
import { runIfMain } from ${JSON.stringify(PROGRAM)};

export async function handler(job, { signal, log }) {
  if (job.input.fail) throw new Error(job.input.fail);
  if (!job.input.wait) return job.input;
  const held = setInterval(() => undefined, 1000);
  const stopped = new Promise((resolve) => signal.addEventListener('abort', resolve));
  log.info('waiting');
  await stopped;
  clearInterval(held);
  return { stopped: signal.reason.code };
}

await runIfMain(import.meta.url, handler);
`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'process-'));
  await writeFile(join(folder, 'handler.mjs'), HANDLER);
  await writeFile(join(folder, 'importer.mjs'), "import './handler.mjs';\n");
  await symlink(join(folder, 'handler.mjs'), join(folder, 'linked.mjs'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function start(...args: string[]) {
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const printed = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed.stderr += text));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...printed }));
  return { child, printed, ended };
}

describe('a handler as a program', () => {
  test.each<[string, string[], number, string]>([
    ['an output', ['handler.mjs', '--test_input', '{"input":{"a":"ä"}}'], 0, '{"a":"ä"}\n'],
    ['started by another name', ['linked.mjs', '--test_input', '{"input":{"a":1}}'], 0, '{"a":1}\n'],
    ['a failure', ['handler.mjs', '--test_input', '{"input":{"fail":"no"}}'], 1, '{"error":"no"}\n'],
    [
      'an output with an error',
      ['handler.mjs', '--test_input', '{"input":{"error":"e"}}'],
      1,
      '{"error":"e"}\n',
    ],
    ['imported, it does nothing', ['importer.mjs', '--test_input', '{"input":{"a":1}}'], 0, ''],
  ])('%s', async (_, args, code, stdout) => {
    expect(await start(...args).ended).toMatchObject({ code, stdout });
  });

  test('a large output arrives whole', async () => {
    const { child, ended } = start('handler.mjs');
    expect((await ended).code).toBe(1);
    expect(child.exitCode).toBe(1);
    const text = 'x'.repeat(3_000_000);
    await writeFile(join(folder, 'test_input.json'), JSON.stringify({ input: { text } }));
    try {
      const { code, stdout } = await start('handler.mjs').ended;
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual({ text });
    } finally {
      await rm(join(folder, 'test_input.json'));
    }
  });

  test('SIGTERM lets it finish, and it exits by itself', async () => {
    const { child, ended } = start('handler.mjs', '--test_input', '{"input":{"wait":true}}');
    await new Promise<void>((resolve) => {
      let seen = '';
      child.stderr.on('data', (text: string) => {
        seen += text;
        if (seen.includes('waiting')) resolve();
      });
    });
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0, stdout: '{"stopped":"shutdown"}\n' });
  });
});
