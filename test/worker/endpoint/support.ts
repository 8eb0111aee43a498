import { createLog } from '../../../src/base/log.ts';
import { StoppedError } from '../../../src/base/errors.ts';
import { runEndpoint } from '../../../src/worker/endpoint/endpoint.ts';
import type { EndpointLimits } from '../../../src/worker/endpoint/limits.ts';
import type { AnyHandler } from '../../../src/worker/types.ts';
import type { WorkerOptions } from '../../../src/worker/worker.ts';
import { startHandler, type HandlerSource, type WorkerProcess } from '../support.ts';

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

export interface TestEndpoint extends AsyncDisposable {
  readonly url: string;
  call(
    method: 'GET' | 'POST',
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  /** Submits by `/run`; the id. */
  run(input: unknown, extra?: Record<string, unknown>): Promise<string>;
  status(id: string): Promise<Record<string, unknown>>;
  /** Waits for the job's end. */
  settled(id: string): Promise<Record<string, unknown>>;
  /** What was logged so far. */
  log(): string;
  /** As SIGTERM does; the exit code. */
  stop(): Promise<number>;
}

export interface TestEndpointOptions {
  options?: WorkerOptions;
  limits?: Partial<EndpointLimits>;
  key?: string;
  host?: string;
}

/** An endpoint in this process. */
export async function startEndpoint(
  handler: AnyHandler,
  { options = {}, limits = {}, key, host = 'localhost' }: TestEndpointOptions = {},
): Promise<TestEndpoint> {
  let text = '';
  const stop = new AbortController();
  const { promise: listening, resolve, reject } = Promise.withResolvers<string>();
  const ended = runEndpoint(handler, options, {
    host,
    port: 0,
    key,
    workerId: 'w1',
    log: createLog({ level: 'debug', write: (line) => (text += line) }),
    stop: stop.signal,
    onListening: resolve,
    limits,
  });
  ended.catch(reject);
  return client(
    await listening,
    () => text,
    () => {
      stop.abort(new StoppedError('shutdown', 'the test is over'));
      return ended;
    },
  );
}

export interface EndpointProcess extends WorkerProcess {
  readonly url: string;
  readonly endpoint: TestEndpoint;
}

/** An endpoint in a process of its own, at any port that is free. */
export async function startEndpointProcess(source: HandlerSource): Promise<EndpointProcess> {
  const args = ['--rp_serve_api', '--rp_api_port', '0', ...(source.args ?? [])];
  const program = await startHandler({ ...source, args });
  await program.logged('base_url');
  const url = /"url":"([^"]+)"/.exec(program.log())?.[1] ?? '';
  const stop = async (): Promise<number> => {
    program.kill('SIGTERM');
    return (await program.ended) ?? -1;
  };
  return { ...program, url, endpoint: client(url, () => program.log(), stop) };
}

function client(url: string, log: () => string, stop: () => Promise<number>): TestEndpoint {
  const call: TestEndpoint['call'] = async (method, path, body, headers = {}) => {
    const json = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
    const response = await fetch(`${url}${path}`, { method, headers, ...json });
    return { status: response.status, body: (await response.json()) as Answer['body'] };
  };
  return {
    url,
    call,
    async run(input, extra = {}) {
      const { body } = await call('POST', '/run', { input, ...extra });
      return String(body.id);
    },
    status: async (id) => (await call('GET', `/status/${id}`)).body,
    settled: async (id) => (await call('GET', `/status-sync/${id}`)).body,
    log,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

/** Something that a test lets happen. */
export function gate(): { opened: Promise<undefined>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return { opened: promise, open: () => resolve(undefined) };
}
