import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

const MODULE = fileURLToPath(new URL('../../src/demo/serve-embedding.ts', import.meta.url));

let folder = '';
let demo: ChildProcess;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-'));
});
afterEach(async () => {
  demo.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

/** A program that serves the handler as the demo does, and goes on with these statements. */
async function start(then: string): Promise<{ exited: Promise<unknown[]>; health: () => Promise<number> }> {
  const source = `
    import { serveEmbedding } from ${JSON.stringify(MODULE)};
    await using served = await serveEmbedding({ SUPABASE_URL: '', QDRANT_URL: '', LOG_LEVEL: 'error' });
    console.log(served.baseUrl);
    ${then}`;
  await writeFile(join(folder, 'demo.mjs'), source);
  const child = spawn(process.execPath, ['demo.mjs'], { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  demo = child;
  const exited = once(child, 'exit');
  const [baseUrl] = (await once(createInterface(child.stdout), 'line')) as [string];
  const health = async (): Promise<number> => (await fetch(`${baseUrl}/embedding/health`)).status;
  return { exited, health };
}

const STAY = 'setInterval(() => undefined, 1000); await new Promise(() => undefined);';

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends the handler first, then the demo', async (signal, code) => {
  const { exited, health } = await start(STAY);
  expect(await health()).toBe(200);
  demo.kill(signal);
  expect(await exited).toEqual([code, null]);
  await expect(health()).rejects.toThrow('fetch failed');
});

test('a demo that fails leaves nothing running', async () => {
  const { exited, health } = await start(`throw new Error('failed');`);
  expect(await exited).toEqual([1, null]);
  await expect(health()).rejects.toThrow('fetch failed');
});

test('a demo that is killed leaves nothing running', async () => {
  const { exited, health } = await start(STAY);
  demo.kill('SIGKILL');
  await exited;
  // The handler learns of it a moment later.
  while (await health().catch(() => undefined));
});
