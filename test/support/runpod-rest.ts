import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { z } from 'zod';

/** One request as it came. */
export interface RestRequest {
  method: string;
  path: string;
  authorization: string | undefined;
  body: unknown;
}

interface Container {
  image: string;
  args?: string | undefined;
  disk?: number | undefined;
  env?: Record<string, string> | undefined;
  ports?: string[] | undefined;
  registry?: string | null | undefined;
}
type RestTemplate = Container & { id: string; name: string };
type RestEndpoint = Container & { id: string; name: string; version: number } & Record<string, unknown>;

/** How a job on an image goes: the states one look after the other, the last of them for good. */
type JobScript = readonly { status: string; output?: unknown; error?: unknown }[];

export interface RestServer extends AsyncDisposable {
  url: string;
  key: string;
  readonly requests: readonly RestRequest[];
  readonly templates: RestTemplate[];
  readonly endpoints: RestEndpoint[];
  readonly cancelled: string[];
  jobOf: (image: string) => JobScript;
  /** The image of the worker that takes a job: the endpoint's own, or one that is left from before. */
  workerImage: (endpoint: RestEndpoint, jobs: number) => string;
  /** Does the worker of this job still have the settings of before? */
  isStale: (jobId: string) => boolean;
  workerStates: Record<string, number>;
  /** A look at each request before it is answered; what it returns is the answer. */
  intercept: (
    request: RestRequest,
  ) => { status: number; problem: object; headers?: Record<string, string> } | undefined;
}

const container = {
  image: z.string().optional(),
  args: z.string().optional(),
  disk: z.int().min(1).optional(),
  env: z.record(z.string(), z.string()).optional(),
  ports: z.array(z.string()).optional(),
  registry: z.string().nullable().optional(),
};
const version = z.string().regex(/^\d+\.\d+$/);
const gpu = {
  pools: z.array(z.string()).min(1),
  count: z.int().min(1).optional(),
  minCudaVersion: version.optional(),
  allowedCudaVersions: z.array(version).optional(),
};
const workers = z.strictObject({
  min: z.int().nonnegative().optional(),
  max: z.int().nonnegative().optional(),
  idleTimeout: z.int().min(1).max(3600).optional(),
});
const scaling = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('QUEUE_DELAY'), queueDelay: z.number().min(0.5) }),
  z.strictObject({ type: z.literal('REQUEST_COUNT'), requestCount: z.int().min(1) }),
]);
const templateFields = {
  ...container,
  serverless: z.boolean().optional(),
  public: z.boolean().optional(),
  category: z.enum(['CPU', 'NVIDIA', 'AMD']).optional(),
};
const endpointFields = {
  ...container,
  templateId: z.string().min(1).optional(),
  workers: workers.optional(),
  flashboot: z.enum(['OFF', 'FLASHBOOT', 'PRIORITY_FLASHBOOT']).optional(),
  timeout: z.int().optional(),
  networkVolumes: z.array(z.string()).optional(),
  dataCenterIds: z.array(z.string()).optional(),
};
/** What each request may hold: RunPod's REST API v2, which rejects every other field. */
const BODIES = {
  'POST templates': z.strictObject({ ...templateFields, name: z.string().min(1), image: z.string() }),
  'PATCH templates': z.strictObject({ ...templateFields, name: z.string().min(1).optional() }),
  'POST serverless': z.strictObject({
    ...endpointFields,
    name: z.string().min(1),
    type: z.enum(['QUEUE', 'LOAD_BALANCER']),
    scaling,
    gpu: z.strictObject(gpu).optional(),
  }),
  'PATCH serverless': z.strictObject({
    ...endpointFields,
    name: z.string().min(1).optional(),
    scaling: scaling.optional(),
    gpu: z
      .strictObject({
        ...gpu,
        pools: gpu.pools.optional(),
        minCudaVersion: z.union([z.literal(''), version]).optional(),
      })
      .optional(),
  }),
  run: z.strictObject({
    input: z.unknown(),
    webhook: z.url().optional(),
    policy: z
      .strictObject({ executionTimeout: z.int().min(5_000), ttl: z.int().min(10_000) })
      .partial()
      .optional(),
  }),
} as const;

const SUCCESS: JobScript = [
  { status: 'COMPLETED', output: { status: 'success', processed_count: 2, failed_count: 0 } },
];

class Refused extends Error {
  readonly status: number;
  readonly problem: object;
  readonly headers: Record<string, string>;
  constructor(status: number, problem: object, headers: Record<string, string> = {}) {
    super(`refused with ${status}`);
    this.status = status;
    this.problem = problem;
    this.headers = headers;
  }
}

const refuse = (status: number, title: string, detail: string, more: object = {}): Refused =>
  new Refused(status, { title, status, detail, ...more });

function checked<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue) => ({
    location: issue.path.join('.'),
    message: issue.message,
  }));
  throw refuse(422, 'Unprocessable Entity', 'Request validation failed.', { errors });
}

/**
 * RunPod's REST API v2 for templates and endpoints, and its API for jobs, on loopback: strict about fields, with a state
 * of its own. A template's change reaches no endpoint before that is told to take the template over.
 */
export async function startRestServer(): Promise<RestServer> {
  const key = `rpa_${randomUUID().replaceAll('-', '')}`;
  const requests: RestRequest[] = [];
  const jobs = new Map<string, { script: JobScript; looks: number; workerId: string }>();
  const workersOf = new Map<string, { id: string; image: string }>();

  const find = <T extends { id: string }>(list: readonly T[], id: string | undefined): T => {
    const found = list.find((one) => one.id === id);
    if (found === undefined) throw refuse(404, 'Not Found', `${String(id)} is not there`);
    return found;
  };
  const takeOver = (templateId: string | undefined): Partial<Container> => {
    if (templateId === undefined) return {};
    const { id: _, name: __, ...rest } = find(server.templates, templateId);
    return rest;
  };
  const rest = (method: string, kind: string, id: string | undefined, body: unknown): unknown => {
    if (kind === 'templates') return restTemplates(method, id, body);
    if (kind !== 'serverless') throw refuse(404, 'Not Found', `no such path`);
    if (method === 'GET')
      return id === undefined ? { endpoints: server.endpoints } : find(server.endpoints, id);
    if (method === 'POST') {
      const { templateId, type: _, ...fields } = checked(BODIES['POST serverless'], body);
      const image = takeOver(templateId).image ?? fields.image;
      if (image === undefined) throw refuse(422, 'Unprocessable Entity', 'image is required');
      const made = {
        ...takeOver(templateId),
        ...fields,
        image,
        id: `ep${server.endpoints.length + 1}`,
        version: 1,
      };
      server.endpoints.push(made);
      return made;
    }
    const { templateId, ...fields } = checked(BODIES['PATCH serverless'], body);
    const endpoint = find(server.endpoints, id);
    const merged = { ...(endpoint.gpu as object | undefined), ...fields.gpu };
    return Object.assign(endpoint, takeOver(templateId), fields, {
      gpu: merged,
      version: endpoint.version + 1,
    });
  };
  const restTemplates = (method: string, id: string | undefined, body: unknown): unknown => {
    if (method === 'GET')
      return id === undefined ? { templates: server.templates } : find(server.templates, id);
    if (method === 'PATCH')
      return Object.assign(find(server.templates, id), checked(BODIES['PATCH templates'], body));
    const fields = checked(BODIES['POST templates'], body);
    if (server.templates.some(({ name }) => name === fields.name))
      throw refuse(400, 'Bad Request', 'Template name must be unique.');
    const made = { ...fields, id: `tpl${server.templates.length + 1}` };
    server.templates.push(made);
    return made;
  };
  const job = (endpoint: RestEndpoint, verb: string, jobId: string | undefined, body: unknown): unknown => {
    if (verb === 'health') return { jobs: {}, workers: server.workerStates };
    if (verb === 'run') {
      checked(BODIES.run, body);
      const id = `job${jobs.size + 1}`;
      const image = server.workerImage(endpoint, jobs.size + 1);
      workersOf.set(id, { id: `worker-${id}`, image });
      jobs.set(id, { script: server.jobOf(image), looks: 0, workerId: `worker-${id}` });
      return { id, status: 'IN_QUEUE' };
    }
    const found = jobs.get(jobId ?? '');
    if (found === undefined) throw refuse(404, 'Not Found', 'job not found');
    if (verb === 'cancel') {
      server.cancelled.push(String(jobId));
      return { id: jobId, status: 'CANCELLED' };
    }
    const state = found.script[Math.min(found.looks, found.script.length - 1)];
    found.looks += 1;
    return { id: jobId, workerId: found.workerId, ...state };
  };
  const answer = (request: RestRequest): unknown => {
    const instead = server.intercept(request);
    if (instead !== undefined) throw new Refused(instead.status, instead.problem, instead.headers);
    if (request.authorization !== `Bearer ${key}`) throw refuse(401, 'Unauthorized', 'missing bearer token');
    const [, , first = '', second, third] = request.path.split('/');
    if (first === 'serverless' && third === 'workers') {
      const { image } = find(server.endpoints, second);
      const workers = [...workersOf.values()];
      return {
        workers: workers.map((one) => ({
          ...one,
          status: 'IDLE',
          gpuCount: 1,
          isStale: server.isStale(one.id.replace('worker-', '')) || one.image !== image,
        })),
      };
    }
    if (first === 'templates' || first === 'serverless')
      return rest(request.method, first, second, request.body);
    return job(find(server.endpoints, first), second ?? '', third, request.body);
  };

  const respond = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const { method = 'GET', url = '/', headers } = incoming;
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const request = { method, path: url, authorization: headers.authorization, body };
    requests.push(request);
    try {
      const json = JSON.stringify(answer(request));
      outgoing.writeHead(method === 'POST' ? 201 : 200, { 'content-type': 'application/json' }).end(json);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const head = { 'content-type': 'application/problem+json', ...error.headers };
      outgoing.writeHead(error.status, head).end(JSON.stringify(error.problem));
    }
  };

  const http = createServer((incoming, outgoing) => {
    respond(incoming, outgoing).catch(() => outgoing.destroy());
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const server: RestServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    key,
    requests,
    templates: [],
    endpoints: [],
    cancelled: [],
    jobOf: () => SUCCESS,
    workerImage: ({ image }) => image,
    isStale: () => false,
    workerStates: { idle: 0, initializing: 1 },
    intercept: () => undefined,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
  return server;
}
