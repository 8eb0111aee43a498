import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { drawPicture } from './pictures.ts';

/** What a path is answered with in the place of its picture. */
export type Misbehaviour =
  | { status: number }
  | { body: Uint8Array | string; type: string }
  /** The first half of the picture, as if that were all. */
  | 'truncated'
  /** The connection ends in the middle of the picture. */
  | 'cut_off'
  /** No answer at all. */
  | 'silent';

export interface TestImages extends AsyncDisposable {
  /** Without a slash at its end. */
  url: string;
  /** Requests by path, in order of their first. */
  readonly requests: ReadonlyMap<string, number>;
  /** All requests so far. */
  readonly count: number;
  /** The picture that a path has, whatever is answered in its place. */
  picture(path: string): Promise<Buffer>;
  misbehave(path: string, how: Misbehaviour): void;
  /** The path shows its picture again. */
  recover(path: string): void;
  /** From now on requests wait for as long as the returned function is not called; those under way are not touched. */
  hold(): () => void;
  /** Resolves when so many requests wait. */
  waiting(count: number): Promise<void>;
}

/** Pictures of `/many/...`: thousands of paths, few pictures. */
const MANY = 16;

/**
 * Serves pictures that are drawn by their path: `/frames/{name}/frame_0003.png` is a frame of a thing,
 * `/cutouts/{name}/{any}.jpg` a photo of the same thing, `/shots/{name}/{n}.png` one of any number of different pictures
 * of it, `/many/{n}.png` one of a few. Anything else is not there.
 */
export async function testImages(): Promise<TestImages> {
  const drawn = new Map<string, Promise<Buffer>>();
  const misbehaviours = new Map<string, Misbehaviour>();
  const requests = new Map<string, number>();
  let count = 0;
  let gate: { opened: Promise<void>; open: () => void } | undefined;
  let held = 0;
  const onHeld = new Set<() => void>();

  const picture = (path: string): Promise<Buffer> | undefined => {
    const key = subject(path);
    if (key === undefined) return undefined;
    const id = JSON.stringify(key);
    const bytes = drawn.get(id) ?? drawPicture(key.name, key);
    drawn.set(id, bytes);
    return bytes;
  };

  const answer = async (path: string, response: ServerResponse): Promise<void> => {
    const how = misbehaviours.get(path);
    if (how === 'silent') return;
    const bytes = await picture(path);
    if (typeof how === 'object') {
      const body = 'body' in how ? how.body : `status ${how.status}\n`;
      const type = 'body' in how ? how.type : 'text/plain';
      response.writeHead('status' in how ? how.status : 200, { 'content-type': type }).end(body);
    } else if (bytes === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not here\n');
    } else {
      const type = path.endsWith('.jpg') ? 'image/jpeg' : 'image/png';
      const half = bytes.subarray(0, Math.ceil(bytes.length / 2));
      const length = how === 'truncated' ? half.length : bytes.length;
      response.writeHead(200, { 'content-type': type, 'content-length': length });
      if (how === 'cut_off') response.write(half, () => response.destroy());
      else response.end(how === 'truncated' ? half : bytes);
    }
  };

  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    requests.set(path, (requests.get(path) ?? 0) + 1);
    count += 1;
    const respond = (): void => {
      answer(path, response).catch(() => response.destroy());
    };
    if (gate === undefined) {
      respond();
      return;
    }
    held += 1;
    for (const check of onHeld) check();
    void gate.opened.then(respond);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get count() {
      return count;
    },
    async picture(path) {
      const bytes = await picture(path);
      if (bytes === undefined) throw new TypeError(`there is no picture ${path}`);
      return bytes;
    },
    misbehave(path, how) {
      misbehaviours.set(path, how);
    },
    recover(path) {
      misbehaviours.delete(path);
    },
    hold() {
      const { promise: opened, resolve: open } = Promise.withResolvers<undefined>();
      const mine = { opened: opened as Promise<void>, open: () => open(undefined) };
      gate = mine;
      held = 0;
      return () => {
        if (gate === mine) gate = undefined;
        mine.open();
      };
    },
    waiting(wanted) {
      return new Promise((resolve) => {
        const check = (): void => {
          if (held < wanted) return;
          onHeld.delete(check);
          resolve();
        };
        onHeld.add(check);
        check();
      });
    },
    async [Symbol.asyncDispose]() {
      gate?.open();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function subject(
  path: string,
): { name: string; frame?: number; asPhoto?: boolean; shot?: number } | undefined {
  const frame = /^\/frames\/(.+?)\/frame_(\d{4,})\.png$/.exec(path);
  if (frame !== null) return { name: frame[1] ?? '', frame: Number(frame[2]) };
  const photo = /^\/cutouts\/([^/]+)\/[^/]+\.jpg$/.exec(path);
  if (photo !== null) return { name: photo[1] ?? '', asPhoto: true };
  const shot = /^\/shots\/(.+?)\/(\d+)\.png$/.exec(path);
  if (shot !== null) return { name: shot[1] ?? '', shot: Number(shot[2]) };
  const many = /^\/many\/(\d+)\.png$/.exec(path);
  if (many !== null) return { name: `many ${Number(many[1]) % MANY}` };
  return undefined;
}
