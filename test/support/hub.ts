import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What goes wrong with one answer. Without one, all is well. */
export interface Fault {
  status?: number;
  headers?: Record<string, string>;
  /** The body breaks off after so many of its bytes. */
  cutAfter?: number;
  /** The body stops there, and the connection stays. */
  stallAfter?: number;
  /** A byte every so many milliseconds. */
  dripMs?: number;
  ignoreRange?: boolean;
  /** Said of a part, where it is not true. */
  contentRange?: string;
  /** How long the body is, is not said. */
  unsized?: boolean;
  /** Another body than the file's. */
  body?: Uint8Array;
}

export interface HubRequest {
  /** `hub` answers for names, `store` under another host's name for the large files' bytes. */
  server: 'hub' | 'store';
  method: string;
  /** In the repository. */
  file: string;
  revision: string;
  authorization: string | undefined;
  range: string | undefined;
  /** Bytes of the body that were sent. */
  sent: number;
}

export interface TestHub extends AsyncDisposable {
  url: string;
  requests: HubRequest[];
  /** Asked before every answer, with the request as the last of `requests`. */
  fault: (request: HubRequest) => Fault | undefined;
  /** Awaited before a body is cut off: until the client has so many bytes of the file. What is on its way is lost in a cut. */
  arrived: (file: string, bytes: number) => Promise<void>;
  /** What is said of a file, where it is not true. */
  lies: Map<string, { hash?: string; size?: number; commit?: string }>;
  /** Only who has it gets anything. */
  token: string | undefined;
  /** A new commit, which `main` is from now on. */
  publish(repository: string, files: Record<string, Uint8Array | string>): string;
  /** Requests for bytes, without those for names that only led to them. */
  bodies(file?: string): HubRequest[];
}

interface Published {
  bytes: Buffer;
  large: boolean;
  hash: string;
}

/** Files from this size on are kept in the store, as the hub does with files of some megabytes. */
const LARGE_BYTES = 2_000;

export async function startHub(): Promise<TestHub> {
  const repositories = new Map<string, Map<string, Map<string, Published>>>();
  const heads = new Map<string, string>();
  let commits = 0;
  let signatures = 0;

  const find = (repository: string, revision: string, file: string): [string, Published | undefined] => {
    const commit = revision === 'main' ? (heads.get(repository) ?? '') : revision;
    return [commit, repositories.get(repository)?.get(commit)?.get(file)];
  };

  const note = (server: HubRequest['server'], request: IncomingMessage, path: string): HubRequest => {
    const [, revision = '', file = ''] = /\/resolve\/([^/]+)\/(.*)$/.exec(path) ?? [];
    const noted: HubRequest = {
      server,
      method: request.method ?? '',
      file: decodeURIComponent(file),
      revision,
      authorization: request.headers.authorization,
      range: request.headers.range,
      sent: 0,
    };
    hub.requests.push(noted);
    return noted;
  };

  const send = (
    response: ServerResponse,
    noted: HubRequest,
    file: Buffer,
    headers: Record<string, string>,
    fault: Fault,
  ): void => {
    const whole = Buffer.from(fault.body ?? file);
    const from = Number(/^bytes=(\d+)-$/.exec(noted.range ?? '')?.[1] ?? 0);
    const ranged = noted.range !== undefined && fault.ignoreRange !== true;
    if (ranged && from >= whole.length) {
      response.writeHead(416, { 'content-range': `bytes */${whole.length}` }).end();
      return;
    }
    const body = ranged ? whole.subarray(from) : whole;
    response.writeHead(ranged ? 206 : 200, {
      ...headers,
      ...(fault.unsized !== true && { 'content-length': body.length }),
      ...(ranged && {
        'content-range': fault.contentRange ?? `bytes ${from}-${whole.length - 1}/${whole.length}`,
      }),
    });
    if (noted.method === 'HEAD') {
      response.end();
      return;
    }
    if (fault.dripMs !== undefined) {
      drip(response, body, fault.dripMs);
      return;
    }
    const stop = fault.cutAfter ?? fault.stallAfter;
    const part = stop === undefined ? body : body.subarray(0, stop);
    noted.sent = part.length;
    if (stop === undefined) response.end(part);
    else if (fault.cutAfter === undefined) response.write(part);
    else {
      response.write(part);
      void hub.arrived(noted.file, (ranged ? from : 0) + part.length).then(() => response.destroy());
    }
  };

  const drip = (response: ServerResponse, body: Buffer, everyMs: number): void => {
    let at = 0;
    const timer = setInterval(() => response.write(body.subarray(at, ++at)), everyMs);
    response.on('close', () => clearInterval(timer));
  };

  const refuse = (response: ServerResponse, { status = 500, headers = {} }: Fault): void => {
    response.writeHead(status, headers).end('refused');
  };

  const answerHub = (request: IncomingMessage, response: ServerResponse): void => {
    const url = request.url ?? '';
    const noted = note('hub', request, url);
    const fault = hub.fault(noted) ?? {};
    if (fault.status !== undefined) {
      refuse(response, fault);
      return;
    }
    if (hub.token !== undefined && noted.authorization !== `Bearer ${hub.token}`) {
      refuse(response, { status: 401, headers: { 'x-error-code': 'GatedRepo' } });
      return;
    }
    const repository = /^(?:\/api\/resolve-cache)?\/([^/]+\/[^/]+)\/resolve\//.exec(url)?.[1] ?? '';
    const [commit, file] = find(repository, noted.revision, noted.file);
    if (file === undefined) {
      const code = heads.has(repository) ? 'EntryNotFound' : 'RepoNotFound';
      refuse(response, { status: 404, headers: { 'x-error-code': code } });
      return;
    }
    const lie = hub.lies.get(noted.file) ?? {};
    const hash = lie.hash ?? file.hash;
    const told = { 'x-repo-commit': lie.commit ?? commit };
    if (file.large) {
      signatures += 1;
      const headers = {
        ...told,
        'x-linked-etag': `"${hash}"`,
        'x-linked-size': String(lie.size ?? file.bytes.length),
        etag: '"of-the-redirect"',
        location: `http://localhost:${portOf(store)}/${repository}/resolve/${commit}/${noted.file}?signature=${signatures}`,
      };
      response.writeHead(302, headers).end();
    } else if (url.startsWith('/api/resolve-cache')) {
      send(response, noted, file.bytes, { ...told, etag: `W/"${hash}"` }, fault);
    } else {
      response.writeHead(307, { location: `/api/resolve-cache${url}` }).end();
    }
  };

  const answerStore = (request: IncomingMessage, response: ServerResponse): void => {
    const [path = ''] = (request.url ?? '').split('?');
    const noted = note('store', request, path);
    const fault = hub.fault(noted) ?? {};
    const repository = path.slice(1, path.indexOf('/resolve/'));
    const [, file] = find(repository, noted.revision, noted.file);
    if (fault.status !== undefined || file === undefined) refuse(response, fault);
    else send(response, noted, file.bytes, {}, fault);
  };

  const main = createServer(answerHub);
  const store = createServer(answerStore);
  // Two names of one machine: to a client they are two hosts.
  main.listen(0, '127.0.0.1');
  store.listen(0, 'localhost');
  await Promise.all([once(main, 'listening'), once(store, 'listening')]);

  const hub: TestHub = {
    url: `http://127.0.0.1:${portOf(main)}`,
    requests: [],
    fault: () => undefined,
    arrived: () => Promise.resolve(),
    lies: new Map(),
    token: undefined,
    publish(repository, files) {
      commits += 1;
      const commit = createHash('sha1').update(`commit ${commits}`).digest('hex');
      const published = Object.entries(files).map(([path, content]): [string, Published] => {
        const bytes = Buffer.from(content as Uint8Array);
        const large = bytes.length >= LARGE_BYTES;
        const hash = large ? sha256Of(bytes) : gitHashOf(bytes);
        return [path, { bytes, large, hash }];
      });
      const all = repositories.get(repository) ?? new Map<string, Map<string, Published>>();
      repositories.set(repository, all.set(commit, new Map(published)));
      heads.set(repository, commit);
      return commit;
    },
    bodies: (file) =>
      hub.requests.filter((r) => r.method === 'GET' && r.sent > 0 && (file === undefined || r.file === file)),
    async [Symbol.asyncDispose]() {
      await Promise.all([close(main), close(store)]);
    },
  };
  return hub;
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export const gitHashOf = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
