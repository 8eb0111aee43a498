import type { Context } from 'hono';
import { z } from 'zod';

import type { JsonSchema } from '../../base/json-schema.ts';
import { readCall, type Call, type CallShape } from './call.ts';

/** A schema that a document's list of schemas has by its name. */
export interface NamedSchema {
  name: string;
  schema: JsonSchema;
}

/** What a successful answer looks like. */
interface Success {
  status: 200 | 202;
  description: string;
  /** Of the JSON; absent: text of this type. */
  schema?: NamedSchema;
  contentType?: string;
}

export interface Reply {
  /** JSON, or text where the route says so. */
  body: unknown;
  headers?: Record<string, string>;
  /** Where it is not the success's own: what is not ready. */
  status?: 503;
}

/** Bodies to begin with, by name. */
export type Examples = Readonly<Record<string, { summary: string; value: object }>>;

/** One address: what it takes and gives, for the document, and what answers. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** With `{name}` for each parameter. */
  readonly path: string;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string | undefined;
  readonly shape: CallShape;
  readonly examples: Examples;
  readonly success: Success;
  /** Statuses of problems that are its own; those of every route are not listed. */
  readonly problems: readonly number[];
  /** An address that asks for no key. */
  readonly isOpen: boolean;
  /** One that whatever keeps this process running asks again and again: no rate, and no line for each. */
  readonly isProbe: boolean;
  /** The most bytes of a body. */
  readonly maxBytes: number;
  answer(context: Context): Promise<Response>;
}

export interface RouteOptions<S extends CallShape> {
  method: Route['method'];
  path: string;
  operationId: string;
  tag: string;
  summary: string;
  description?: string;
  shape?: S;
  examples?: Examples;
  success: Success;
  problems?: readonly number[];
  isOpen?: boolean;
  isProbe?: boolean;
  maxBytes?: number;
  /** Looked at before a body is read. Throws what is wrong. */
  admit?: (params: Call<S>['params']) => void;
  run: (call: Call<S>) => Promise<Reply> | Reply;
}

/** A job's input may have 10 MB; a request has little more than what its job has of it. */
const MAX_JSON_BYTES = 10 * 2 ** 20;

export function defineRoute<const S extends CallShape = {}>(options: RouteOptions<S>): Route {
  const {
    run,
    admit,
    examples = {},
    shape,
    success,
    problems = [],
    isOpen = false,
    isProbe = false,
    maxBytes = MAX_JSON_BYTES,
    ...about
  } = options;
  return {
    ...about,
    shape: shape ?? {},
    examples,
    success,
    problems,
    isOpen,
    isProbe,
    maxBytes,
    async answer(context) {
      const {
        body,
        headers = {},
        status = success.status,
      } = await run(await readCall(context, shape ?? ({} as S), admit));
      if (success.schema !== undefined) return context.json(body as object, status, headers);
      const contentType = success.contentType ?? 'text/plain; charset=utf-8';
      return context.body(String(body), status, { ...headers, 'content-type': contentType });
    },
  };
}

/** The JSON Schema of what is answered. */
export function answerSchema(name: string, schema: z.ZodType): NamedSchema {
  const { $schema: _, ...body } = z.toJSONSchema(schema, {
    io: 'output',
    target: 'draft-2020-12',
  }) as JsonSchema;
  return { name, schema: body };
}
