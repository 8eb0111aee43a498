import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';

import { SERVER_KEEP_ALIVE_MS } from '../http/listen.ts';

export interface ImageServer {
  /** `http://127.0.0.1:{port}`, without a slash at its end. */
  url: string;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const HOST = '127.0.0.1';
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.html': 'text/html; charset=utf-8',
};

/**
 * Serves the files of one folder on 127.0.0.1 as they are, broken ones too. GET and HEAD only; nothing outside of the
 * folder is ever read, however the path is written and wherever a link leads.
 */
export async function startImageServer(options: { folder: string; port?: number }): Promise<ImageServer> {
  const root = await realpath(options.folder);
  const server = createServer({ keepAliveTimeout: SERVER_KEEP_ALIVE_MS }, (request, response) => {
    answer(root, request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else refuse(response, 500);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, HOST, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the image server has no port');
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    });
  return { url: `http://${HOST}:${String(address.port)}`, close, [Symbol.asyncDispose]: close };
}

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    refuse(response, 405);
    return;
  }
  const file = await resolveFile(root, request.url ?? '/');
  if (file === undefined) {
    refuse(response, 404);
    return;
  }
  response.writeHead(200, {
    'content-type': CONTENT_TYPES[path.extname(file.path).toLowerCase()] ?? 'application/octet-stream',
    'content-length': file.size,
  });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const stream = createReadStream(file.path);
  response.on('close', () => stream.destroy());
  stream.on('error', () => response.destroy());
  stream.pipe(response);
}

/** The file that an address means, or undefined where there is none inside of the folder. */
async function resolveFile(
  root: string,
  address: string,
): Promise<{ path: string; size: number } | undefined> {
  try {
    const wanted = decodeURIComponent(new URL(address, 'http://localhost').pathname);
    const real = await realpath(path.join(root, wanted));
    if (!real.startsWith(root + path.sep)) return undefined;
    const info = await stat(real);
    return info.isFile() ? { path: real, size: info.size } : undefined;
  } catch {
    return undefined; // not there, no permission, or an address that cannot be decoded
  }
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${String(status)}\n`);
}
