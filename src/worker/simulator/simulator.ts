import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

import { messageOf } from '../../base/errors.ts';
import { sleep } from '../../flow/time.ts';
import { handleControl } from './control.ts';
import { createRecorder, type Records } from './record.ts';
import { environmentOf } from './environment.ts';
import { addressOf, readBody, recordedRequest, targetOf } from './requests.ts';
import { createScript, type Rule, type RuleInput, type ScriptedAnswer, type ScriptedRule } from './rules.ts';
import { createService, type Answer } from './service.ts';
import { waitFor, type WaitOptions } from './wait.ts';

export interface SimulatorOptions {
  /** 0, the default: any that is free. */
  port?: number;
  /** Default: 127.0.0.1. */
  host?: string;
  apiKey?: string;
  endpointId?: string;
  /** How long a take or stop without anything to hand out is held, in milliseconds. */
  longPollMs?: number;
  /** What workers are told by RUNPOD_PING_INTERVAL, in milliseconds. */
  pingIntervalMs?: number;
  /** Requests that are kept at most; 0 keeps results and counts alone, as a benchmark wants it. */
  maxRequests?: number;
  /** Posts with a larger body are answered by 413. */
  maxResultBytes?: number;
}

/** A RunPod endpoint as its workers see it, with faults on demand. */
export interface Simulator extends Records, AsyncDisposable {
  /** `http://127.0.0.1:{port}`, without a slash at its end. */
  readonly url: string;
  /** Jobs that nobody has taken yet. */
  readonly waiting: number;
  /** Final posts that were accepted, of all jobs. */
  readonly finals: number;
  /** The environment of a worker. Give each its own id. */
  env(workerId?: string): Record<string, string>;
  /** Queues a job; what is in `extra` (`id`, `webhook`, ...) becomes part of it. Returns its id. */
  submit(input: unknown, extra?: Readonly<Record<string, unknown>>): string;
  /** Cancels a job: out of the queue, or by job-stop at the worker that took it. False where it has ended or never was. */
  stop(jobId: string): boolean;
  script(rule: RuleInput): ScriptedRule;
  /**
   * Resolves with the first value of `check` that is neither undefined nor false. It is asked again after every request
   * and every answer.
   * @throws what `check` throws, or an error when the time is up (30 s by default).
   */
  waitFor<T>(check: () => T | undefined | false, options?: WaitOptions): Promise<T>;
  /** Forgets what was recorded, and the rules. Jobs that have not ended stay. */
  clear(): void;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const API_KEY = 'simulated-api-key';
const ENDPOINT_ID = 'simulated';
/** Below the 90 s after which a worker gives up on a take. */
const LONG_POLL_MS = 20_000;
/** The service's own default. */
const PING_INTERVAL_MS = 10_000;
const MAX_REQUESTS = 50_000;
/** What the service takes as the output of /runsync. */
const MAX_RESULT_BYTES = 20 * 2 ** 20;

/** Starts a simulated endpoint; it serves until it is closed. What it checks and how faults are written: docs/simulator.md. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = HOST, apiKey = API_KEY, endpointId = ENDPOINT_ID } = options;
  const { maxRequests = MAX_REQUESTS, longPollMs = LONG_POLL_MS } = options;
  const { pingIntervalMs = PING_INTERVAL_MS, maxResultBytes = MAX_RESULT_BYTES } = options;
  const recorder = createRecorder(maxRequests);
  const script = createScript();
  const service = createService(recorder, { apiKey, longPollMs, maxResultBytes, record: maxRequests > 0 });
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of listeners) listener();
  };

  const onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const target = targetOf(request.url ?? '/');
    const address = addressOf(target, request.method ?? '');
    if (address === undefined) {
      const answer = await handleControl(simulator, target, request);
      send(response, answer.status, answer.body);
      return;
    }
    const entry = recordedRequest(address, request, request.method === 'POST' ? await readBody(request) : '');
    recorder.request(entry);
    const rule = script.match(entry.route, entry.jobId);
    if (listeners.size > 0) changed();
    const gone = new AbortController();
    let undo: Answer['undo'];
    response.on('close', () => {
      if (response.writableFinished) return;
      gone.abort();
      undo?.();
    });
    if (rule !== undefined && rule.delayMs > 0) await sleep(rule.delayMs, closing.signal);
    let answer: Answer | undefined;
    if (rule?.outcome === undefined || rule.accepts) {
      answer = await service.handle(entry, gone.signal);
      // What a rule takes and does not answer stays taken: that is the fault.
      if (rule?.outcome === undefined) ({ undo } = answer);
      if (gone.signal.aborted) undo?.();
    }
    const status = conclude(response, rule, answer);
    if (status !== undefined) entry.status = status;
    if (listeners.size > 0) changed();
  };

  const closing = new AbortController();
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    onRequest(request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) response.destroy();
      else send(response, 500, JSON.stringify({ error: messageOf(error) }));
    });
  });
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the simulator has no port');
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${String(address.port)}`;

  const close = async (): Promise<void> => {
    closing.abort(new Error('the simulator was closed'));
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  const simulator: Simulator = {
    url,
    requests: recorder.requests,
    results: recorder.results,
    progress: recorder.progress,
    streams: recorder.streams,
    violations: recorder.violations,
    get waiting() {
      return service.waiting;
    },
    get finals() {
      return recorder.finals;
    },
    env: (workerId = 'simulated-worker') =>
      environmentOf({ url, workerId, apiKey, endpointId, pingIntervalMs }),
    submit: (input, extra = {}) => service.submit(input, extra),
    stop: (jobId) => service.stop(jobId),
    script: (rule) => script.add(rule),
    waitFor: (check, waiting = {}) => waitFor(check, listeners, waiting),
    clear() {
      recorder.clear();
      script.clear();
      service.clear();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  return simulator;
}

/** Answers as the rule says, or else as the service does. Returns the status that was sent. */
function conclude(
  response: ServerResponse,
  rule: Rule | undefined,
  answer: Answer | undefined,
): number | undefined {
  const outcome = rule?.outcome;
  if (outcome === 'silence') return undefined;
  if (outcome === 'cut') {
    response.destroy();
    return undefined;
  }
  const { status, body } = outcome === undefined ? (answer ?? { status: 500 }) : scripted(outcome);
  if (response.destroyed) return undefined;
  send(response, status, body, outcome?.headers);
  return status;
}

function scripted({ status, body }: ScriptedAnswer): Answer {
  if (body === undefined) return { status };
  return { status, body: typeof body === 'string' ? body : JSON.stringify(body) };
}

function send(
  response: ServerResponse,
  status: number,
  body: string | undefined,
  headers: Readonly<Record<string, string>> = {},
): void {
  const length = body === undefined ? 0 : Buffer.byteLength(body);
  const empty = status === 204 || status === 304 || status < 200;
  response.writeHead(status, {
    ...(empty ? {} : { 'content-type': 'application/json', 'content-length': length }),
    ...headers,
  });
  response.end(body);
}
