import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { startImageServer, type ImageServer } from '../../src/local/images.ts';

/** Asks for a path exactly as it is written: `fetch` would tidy it up first. */
function ask(
  url: string,
  target: string,
  method = 'GET',
): Promise<{ status: number; type: string; body: string }> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path: target, method, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const type = response.headers['content-type'] ?? '';
        resolve({ status: response.statusCode ?? 0, type, body: Buffer.concat(parts).toString('latin1') });
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe('the image server', () => {
  let parent: string;
  let server: ImageServer;
  beforeAll(async () => {
    parent = await mkdtemp(path.join(tmpdir(), 'images-test-'));
    const folder = path.join(parent, 'shelf');
    await mkdir(path.join(folder, 'frames'), { recursive: true });
    await mkdir(path.join(parent, 'shelf-next-door'));
    await writeFile(path.join(folder, 'frames', 'a b.png'), 'png bytes');
    await writeFile(path.join(folder, 'page.html'), '<p>');
    await writeFile(path.join(folder, 'empty.jpg'), '');
    await writeFile(path.join(parent, 'secret.jpg'), 'secret');
    await writeFile(path.join(parent, 'shelf-next-door', 'secret.jpg'), 'secret');
    await symlink(path.join(parent, 'secret.jpg'), path.join(folder, 'link.jpg'));
    server = await startImageServer({ folder });
  });
  afterAll(async () => {
    await server.close();
    await rm(parent, { recursive: true, force: true });
  });

  test('serves files as they are, with the type of their name', async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await ask(server.url, '/frames/a%20b.png?v=1')).toEqual({
      status: 200,
      type: 'image/png',
      body: 'png bytes',
    });
    expect(await ask(server.url, '/page.html')).toMatchObject({
      status: 200,
      type: 'text/html; charset=utf-8',
    });
    expect(await ask(server.url, '/empty.jpg')).toEqual({ status: 200, type: 'image/jpeg', body: '' });
    expect(await ask(server.url, '/page.html', 'HEAD')).toMatchObject({ status: 200, body: '' });
  });

  test.each([
    '/nothing.png',
    '/frames',
    '/',
    '/../secret.jpg',
    '/frames/../../secret.jpg',
    '/%2e%2e/secret.jpg',
    '/..%2fsecret.jpg',
    '/..%2fshelf-next-door%2fsecret.jpg',
    '/link.jpg',
    '/%00',
    '/%zz',
  ])('has nothing at %s', async (target) => {
    const { status, body } = await ask(server.url, target);
    expect(status).toBe(404);
    expect(body).not.toContain('secret');
  });

  test('only reads', async () => {
    expect((await ask(server.url, '/page.html', 'PUT')).status).toBe(405);
    expect((await ask(server.url, '/page.html', 'DELETE')).status).toBe(405);
    expect((await ask(server.url, '/page.html')).body).toBe('<p>');
  });

  test('lets its port go when closed', async () => {
    const own = await startImageServer({ folder: parent });
    await ask(own.url, '/secret.jpg');
    await own.close();
    await expect(ask(own.url, '/secret.jpg')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await using again = await startImageServer({ folder: parent, port: Number(new URL(own.url).port) });
    expect((await ask(again.url, '/secret.jpg')).status).toBe(200);
  });

  test('says at once that a folder is missing', async () => {
    await expect(startImageServer({ folder: path.join(parent, 'none') })).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });
});
