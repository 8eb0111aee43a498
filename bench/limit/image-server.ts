/** Serves the pictures of a folder, each answer after a latency: a process of its own, started by `startImageServer`. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import sharp from 'sharp';

const SELF = fileURLToPath(import.meta.url);
const LATENCY_MS = 120;
/** Pictures below this path are all the same small one, and come at once. */
const TINY = '/tiny/';
const TINY_PX = 32;

export interface ImageServer extends AsyncDisposable {
  /** Without a slash at its end. */
  url: string;
  pid: number;
}

export async function startImageServer(folder: string): Promise<ImageServer> {
  const child = fork(SELF, [folder], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [port] = (await once(child, 'message')) as [number];
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function serve(folder: string): Promise<void> {
  const names = await readdir(folder);
  const files = new Map<string, Buffer>(
    await Promise.all(names.map(async (name) => [`/${name}`, await readFile(join(folder, name))] as const)),
  );
  const raw = { width: TINY_PX, height: TINY_PX, channels: 3, background: '#3a7' } as const;
  const tiny = await sharp({ create: raw }).png().toBuffer();
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    if (path.startsWith(TINY)) {
      response.writeHead(200, { 'content-type': 'image/png', 'content-length': tiny.length }).end(tiny);
      return;
    }
    const file = files.get(path);
    void sleep(LATENCY_MS).then(() => {
      if (file === undefined) response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': file.length }).end(file);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('disconnect', () => process.exit());
  process.send?.((server.address() as AddressInfo).port);
}

if (process.argv[1] === SELF) await serve(process.argv[2] ?? '');
