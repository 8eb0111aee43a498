import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createHttp } from '../../src/http/http.ts';
import { saveFile } from '../../src/http/save.ts';
import { inTurn, rejection, startServer } from './support.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'save-'));
});
afterAll(() => rm(folder, { recursive: true }));

const options = { maxBytes: 1_000, signal: new AbortController().signal };

test('a connection that breaks: the file comes whole, with its hash and size', async () => {
  await using server = await startServer(
    inTurn(
      (response) => {
        response.writeHead(200, { 'content-length': 6 }).write('abc', () => response.destroy());
      },
      (response) => response.end('abcdef'),
    ),
  );
  await using http = createHttp({ allowPrivateHosts: true });
  const path = join(folder, 'whole');
  expect(await saveFile(server.url, path, { http, ...options })).toEqual({
    sha256: createHash('sha256').update('abcdef').digest('hex'),
    size: 6,
  });
  expect(await readFile(path, 'utf8')).toBe('abcdef');
});

test('a server that drips is given up in time', async () => {
  await using server = await startServer((_, response) => {
    const timer = setInterval(() => response.write('.'), 5);
    response.on('close', () => clearInterval(timer));
  });
  await using http = createHttp({ allowPrivateHosts: true });
  const error = await rejection(
    saveFile(server.url, join(folder, 'drip'), { http, ...options, maxBytes: 1e6, deadlineMs: 200 }),
  );
  expect(error).toMatchObject({ code: 'timeout', retryable: true });
  expect(server.requests).toHaveLength(1);
});

test('one above the limit is cut off', async () => {
  await using server = await startServer((_, response) => response.end('x'.repeat(1_001)));
  await using http = createHttp({ allowPrivateHosts: true });
  const error = await rejection(saveFile(server.url, join(folder, 'large'), { http, ...options }));
  expect(error).toMatchObject({ code: 'too_large' });
});
