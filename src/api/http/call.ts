import type { Context } from 'hono';
import { z } from 'zod';

import { HandlerError, InputError } from '../../base/errors.ts';
import { parseInput } from '../../base/parse-input.ts';
import type { RequestKind } from '../requests/request-kind.ts';

/** What of a request a route reads. */
export interface CallShape {
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: RequestKind<unknown> | 'image';
}

type Parsed<S> = S extends z.ZodObject ? z.infer<S> : object;
type Body<B> = B extends RequestKind<infer R> ? R : B extends 'image' ? Uint8Array : undefined;

/** A request as a route gets it: parsed, checked. */
export interface Call<S extends CallShape> {
  params: Parsed<S['params']>;
  query: Parsed<S['query']>;
  body: Body<S['body']>;
  /** Aborts when the client goes away. */
  signal: AbortSignal;
}

const IMAGE_TYPES = /^(?:image\/[\w.+-]+|application\/octet-stream)$/;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** @throws InputError; HandlerError `bad_request`, `unsupported_type`. */
export async function readCall<S extends CallShape>(
  context: Context,
  shape: S,
  admit?: (params: Call<S>['params']) => void,
): Promise<Call<S>> {
  const { req } = context;
  const params = parseInput(shape.params ?? z.object({}), req.param(), 'path') as Call<S>['params'];
  admit?.(params);
  const query = parseQuery(new URL(req.url).searchParams, shape.query ?? z.object({}));
  const body = shape.body === undefined ? undefined : await readBody(context, shape.body);
  return { params, query, body, signal: req.raw.signal } as Call<S>;
}

function parseQuery(search: URLSearchParams, schema: z.ZodObject): unknown {
  const unknown = [...new Set(search.keys())].filter((key) => !Object.hasOwn(schema.shape, key));
  if (unknown.length > 0)
    throw new InputError(unknown.map((key) => ({ key, message: 'is no parameter of this route' })));
  return parseInput(schema, Object.fromEntries(search), 'query');
}

async function readBody(context: Context, body: RequestKind<unknown> | 'image'): Promise<unknown> {
  const type = (context.req.header('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const bytes = new Uint8Array(await context.req.arrayBuffer());
  if (body === 'image') {
    if (!IMAGE_TYPES.test(type))
      throw new HandlerError(
        'unsupported_type',
        'expected the image itself, with a Content-Type of image/...',
      );
    if (bytes.length === 0)
      throw new InputError([{ key: 'body', message: 'expected an image, found nothing' }]);
    return bytes;
  }
  if (type !== 'application/json')
    throw new HandlerError('unsupported_type', 'expected JSON, with a Content-Type of application/json');
  return body.parse(parseJson(bytes));
}

/** The parser's own message quotes the text: it is not repeated. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes)) as unknown;
  } catch {
    throw new HandlerError('bad_request', 'the body is no JSON in UTF-8');
  }
}
