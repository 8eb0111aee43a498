import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';

import { connectEndpoint, type Endpoint } from '../../../src/api/runpod/endpoint.ts';

/** A request to RunPod's API, as it came. */
interface RunPodRequest {
  method: string;
  /** Behind `/v2/{endpoint}`: `run`, `status/{id}`. */
  path: string;
  headers: IncomingMessage['headers'];
  body: Record<string, unknown>;
}

interface RunPodAnswer {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
}

/** Answers one request; undefined: as the service would; 'cut': the connection ends; 'silence': nothing is answered. */
type Answers = (
  request: RunPodRequest,
) => RunPodAnswer | 'cut' | 'silence' | undefined | Promise<RunPodAnswer | 'cut' | 'silence' | undefined>;

/** RunPod's API as a script: for what no honest service does on demand. */
export interface ScriptedRunPod extends AsyncDisposable {
  url: string;
  requests: RunPodRequest[];
  answer: Answers;
  /** What `status` says of each job; one that is not here is not known. */
  jobs: Map<string, Record<string, unknown>>;
  endpoint: Endpoint;
}

export const API_KEY = 'rpa_EXAMPLEKEY0123456789';

export async function scriptedRunPod(): Promise<ScriptedRunPod> {
  const jobs: ScriptedRunPod['jobs'] = new Map();
  const requests: RunPodRequest[] = [];
  let submitted = 0;
  const asService = ({ path, body }: RunPodRequest): RunPodAnswer => {
    const [verb = '', id = ''] = path.split('/');
    if (verb === 'run') {
      submitted += 1;
      const made = { id: `job-${submitted}`, status: 'IN_QUEUE' };
      jobs.set(made.id, { ...made, input: body.input });
      return { body: made };
    }
    if (verb === 'health')
      return { body: { jobs: { inQueue: jobs.size, inProgress: 0 }, workers: { idle: 1, running: 0 } } };
    const job = jobs.get(id);
    if (job === undefined) return { status: 404, body: { error: 'job not found' } };
    if (verb === 'cancel') job.status = 'CANCELLED';
    const { input: _, ...status } = job;
    return { body: status };
  };
  const server = createServer((message, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of message) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString('utf8');
      const request: RunPodRequest = {
        method: message.method ?? '',
        path: (message.url ?? '').replace(/^\/v2\/[^/]+\//, ''),
        headers: message.headers,
        body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
      };
      requests.push(request);
      const answer = (await scripted.answer(request)) ?? asService(request);
      if (answer === 'silence') return;
      if (answer === 'cut') {
        message.socket.destroy();
        return;
      }
      const { status = 200, headers = {}, body = {} } = answer;
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  const url = `http://127.0.0.1:${address.port}`;
  const scripted: ScriptedRunPod = {
    url,
    requests,
    answer: () => undefined,
    jobs,
    endpoint: connectEndpoint({
      id: 'scripted',
      apiKey: API_KEY,
      jobsUrl: url,
      timeoutMs: 1_000,
      patienceMs: 2_000,
    }),
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return scripted;
}
