import type { z } from 'zod';

import { inputJsonSchema, type JsonSchema } from '../../base/json-schema.ts';
import type { RequestKind } from '../requests/request-kind.ts';
import { PROBLEM, PROBLEM_TYPE } from './problem.ts';
import { answerSchema, type Examples, type NamedSchema, type Route } from './route.ts';

export interface DocumentInfo {
  version: string;
  /** Where it is served; absent: where the document is. */
  url?: string | undefined;
}

const JSON_TYPE = 'application/json';
const PROBLEM_SCHEMA = answerSchema('Problem', PROBLEM);
/** Of any route: nobody has foreseen it, or something behind the API. */
const ANY_ROUTE = [500, 502, 503];
const WITH_KEY = [401, 429];
const WITH_INPUT = [422];
const WITH_BODY = [400, 413, 415, 422];

const TITLES: Readonly<Record<number, string>> = {
  400: 'The body is not what it says it is.',
  401: 'No valid key.',
  404: 'There is no such thing.',
  409: 'It is not in a state for this.',
  413: 'The body is too large.',
  415: 'The body is of another type.',
  422: 'Fields are wrong: `issues` says which, and what was expected.',
  429: 'Too many requests: `Retry-After` says when.',
  500: 'An error that nobody foresaw.',
  501: 'This installation does not serve it.',
  502: 'Something behind this API refused.',
  503: 'Something behind this API does not answer, or the API is stopping.',
};

/** OpenAPI 3.1 of the routes, from the schemas that they parse with. */
export function openApiDocument(routes: readonly Route[], { version, url }: DocumentInfo): JsonSchema {
  const schemas = new Map<string, JsonSchema>();
  const ref = ({ name, schema }: NamedSchema): JsonSchema => {
    schemas.set(name, schema);
    return { $ref: `#/components/schemas/${name}` };
  };
  const paths: Record<string, JsonSchema> = {};
  for (const route of routes) {
    const path = paths[route.path] ?? {};
    path[route.method.toLowerCase()] = operationOf(route, ref);
    paths[route.path] = path;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'gpu-handlers',
      version,
      description:
        'Extraction and training by their purpose: requests become jobs on serverless GPUs, with a row each. Null is absent, at every depth; a field that a route does not know is refused.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    ...(url !== undefined && { servers: [{ url }] }),
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'One of API_KEYS.' } },
      schemas: Object.fromEntries([...schemas].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
}

type Ref = (schema: NamedSchema) => JsonSchema;

function operationOf(route: Route, ref: Ref): JsonSchema {
  const { params, query, body } = route.shape;
  const parameters = [...parametersOf('path', params), ...parametersOf('query', query)];
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    ...(route.isOpen && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: bodyOf(body, route.examples, ref) }),
    responses: responsesOf(route, ref),
  };
}

function parametersOf(place: 'path' | 'query', schema: z.ZodObject | undefined): JsonSchema[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = inputJsonSchema(schema, { $id: place, title: place }) as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, own]) => {
    const { description, ...rest } = withoutNull(own);
    return {
      name,
      in: place,
      required: place === 'path' || required.includes(name),
      ...(description !== undefined && { description }),
      schema: rest,
    };
  });
}

/** An address has no null: a parameter is there or not. */
function withoutNull({ anyOf, ...rest }: JsonSchema): JsonSchema {
  if (!Array.isArray(anyOf)) return rest;
  return { ...rest, ...(anyOf[0] as JsonSchema) };
}

function bodyOf(body: RequestKind<unknown> | 'image', examples: Examples, ref: Ref): JsonSchema {
  if (body === 'image') {
    const content = Object.fromEntries(['image/*', 'application/octet-stream'].map((type) => [type, {}]));
    return { required: true, content };
  }
  const { $schema: _, $id: _id, ...schema } = body.jsonSchema;
  const shown = Object.keys(examples).length > 0 && { examples };
  return {
    required: true,
    content: { [JSON_TYPE]: { schema: ref({ name: body.name, schema }), ...shown } },
  };
}

function responsesOf(route: Route, ref: Ref): JsonSchema {
  const { success, isOpen, shape, problems } = route;
  const takesInput = shape.params !== undefined || shape.query !== undefined;
  const statuses = [
    ...problems,
    ...ANY_ROUTE,
    ...(isOpen ? [] : WITH_KEY),
    ...(takesInput ? WITH_INPUT : []),
    ...(shape.body === undefined ? [] : WITH_BODY),
  ];
  const problem = { content: { [PROBLEM_TYPE]: { schema: ref(PROBLEM_SCHEMA) } } };
  const refused = [...new Set(statuses)]
    .toSorted((a, b) => a - b)
    .map((status) => [String(status), { description: TITLES[status] ?? 'A problem.', ...problem }] as const);
  const content =
    success.schema === undefined
      ? { [success.contentType?.split(';')[0] ?? 'text/plain']: { schema: { type: 'string' } } }
      : { [JSON_TYPE]: { schema: ref(success.schema) } };
  const given = { description: success.description, content };
  return { [success.status]: given, ...Object.fromEntries(refused) };
}
