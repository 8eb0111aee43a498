import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

type Json = Record<string, unknown>;

interface Parameter {
  name: string;
  in: 'path' | 'query';
  required: boolean;
  schema: Json;
}
interface Content {
  content?: Record<string, { schema?: Json }>;
}
export interface Operation {
  operationId: string;
  method: string;
  path: string;
  parameters: Parameter[];
  /** Undefined: takes none. */
  body: { type: string; schema: Json | undefined } | undefined;
  responses: Record<string, Content>;
  isOpen: boolean;
}
export interface OpenApiDocument {
  openapi: string;
  paths: Record<string, Record<string, Json>>;
  components: { schemas: Record<string, Json> };
}

interface CallInput {
  /** Of path and query, by name. */
  parameters?: Record<string, unknown>;
  /** JSON, or bytes where the operation takes an image. */
  body?: unknown;
  headers?: Record<string, string>;
}
interface CallOutput {
  status: number;
  headers: Headers;
  body: unknown;
}

/** Sends a request. */
export type Send = (path: string, init: RequestInit) => Promise<Response> | Response;

export interface ApiClient {
  operations: readonly Operation[];
  /**
   * Calls an operation by its id.
   * @throws Error where the answer is none that the document allows: its status, its type, its body.
   */
  call(operationId: string, input?: CallInput): Promise<CallOutput>;
}

export function operationsOf(document: OpenApiDocument): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Operation => {
      const [type, media] =
        Object.entries((operation.requestBody as Content | undefined)?.content ?? {})[0] ?? [];
      return {
        operationId: operation.operationId as string,
        method: method.toUpperCase(),
        path,
        parameters: (operation.parameters as Parameter[] | undefined) ?? [],
        body: type === undefined ? undefined : { type, schema: media?.schema },
        responses: operation.responses as Operation['responses'],
        isOpen: Array.isArray(operation.security) && operation.security.length === 0,
      };
    }),
  );
}

/** A client made of nothing but the document. */
export function clientOf(document: OpenApiDocument, send: Send, key: string | undefined): ApiClient {
  const operations = operationsOf(document);
  const ajv = new Ajv2020({ strict: false, formats: { uuid: true, uri: true } });
  ajv.addSchema({ $id: 'https://document.invalid/', components: document.components });
  const compiled = new Map<string, ValidateFunction>();
  const validatorOf = (schema: Json): ValidateFunction => {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"https://document.invalid/#/components');
    const known = compiled.get(text) ?? ajv.compile(JSON.parse(text) as Json);
    compiled.set(text, known);
    return known;
  };

  const check = (operation: Operation, status: number, type: string, body: unknown): void => {
    const what = `${operation.operationId} answered ${status}`;
    const response = operation.responses[String(status)];
    if (response === undefined)
      throw new Error(`${what}, which its document does not have: ${JSON.stringify(body)}`);
    const media = response.content?.[type];
    if (media?.schema === undefined)
      throw new Error(`${what} with ${type}, which its document does not have`);
    const validate = validatorOf(media.schema);
    if (!validate(body)) throw new Error(`${what}, not as documented: ${ajv.errorsText(validate.errors)}`);
  };

  return {
    operations,
    async call(operationId, { parameters = {}, body, headers = {} } = {}) {
      const operation = operations.find((one) => one.operationId === operationId);
      if (operation === undefined) throw new TypeError(`the document has no ${operationId}`);
      const { method, parameters: known, body: wanted } = operation;
      const query = new URLSearchParams();
      let path = operation.path;
      for (const { name, in: place } of known) {
        const value = parameters[name];
        if (value === undefined) continue;
        if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(asText(value)));
        else query.set(name, asText(value));
      }
      const address = query.size > 0 ? `${path}?${query.toString()}` : path;
      const isJson = wanted?.type === 'application/json';
      const sent = isJson ? JSON.stringify(body) : (body as RequestInit['body']);
      const response = await send(address, {
        method,
        headers: {
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
          ...(wanted !== undefined && { 'content-type': isJson ? wanted.type : 'image/png' }),
          ...headers,
        },
        ...(sent !== undefined && { body: sent }),
      });
      const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? '';
      const text = await response.text();
      const read: unknown = type.endsWith('json') ? JSON.parse(text) : text;
      check(operation, response.status, type, read);
      return { status: response.status, headers: response.headers, body: read };
    },
  };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
