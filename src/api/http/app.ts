import { Hono, type Context, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';

import { HandlerError } from '../../base/errors.ts';
import { createCallers } from './callers.ts';
import { guard } from './guard.ts';
import { openApiDocument, type DocumentInfo } from './openapi.ts';
import { PAGE_FILES } from './page/page.ts';
import type { ApiParts } from './parts.ts';
import { createRateLimit } from './rate-limit.ts';
import type { Route } from './route.ts';
import { collectionRoutes } from './routes/collections.ts';
import { jobRoutes } from './routes/jobs.ts';
import { searchRoutes } from './routes/search.ts';
import { submissionRoutes } from './routes/submissions.ts';
import { systemRoutes } from './routes/system.ts';
import { webhookRoutes } from './routes/webhook.ts';
import { answerProblem, trace, type ApiEnv } from './trace.ts';

export interface AppOptions extends ApiParts {
  /** Bearer keys, any of which opens everything. */
  keys: readonly string[];
  /** Requests a minute for each key, and for each address without one. */
  ratePerMinute: number;
  info: DocumentInfo;
  /** Where a request came from, as far as that is known. */
  addressOf: (context: Context) => string;
}

/** An app that answers `fetch`: nothing listens yet. */
export function createApp(options: AppOptions): Hono<ApiEnv> {
  const { keys, ratePerMinute, addressOf, info, log } = options;
  const routes = routesOf(options);
  const guarding = { callers: createCallers(keys), rate: createRateLimit(ratePerMinute), addressOf };
  const app = new Hono<ApiEnv>();

  for (const route of routes) {
    const path = route.path.replace(/\{(\w+)\}/g, ':$1');
    const tracing = trace(route.operationId, options, route.isProbe ? 'debug' : 'info');
    const before = [tracing, guard(route, guarding), ...limitOf(route)];
    app.on([route.method], [path], ...before, (c) => route.answer(c));
  }
  for (const path of new Set(routes.map((route) => route.path))) {
    const methods = routes.filter((route) => route.path === path).map(({ method }) => method);
    app.all(path.replace(/\{(\w+)\}/g, ':$1'), trace('wrong_method', options), (c) => {
      c.header('allow', methods.join(', '));
      throw new HandlerError('method_not_allowed', `${path} is for ${methods.join(' and ')} alone`);
    });
  }
  const document = JSON.stringify(openApiDocument(routes, info));
  app.get('/openapi.json', trace('document', options), (c) =>
    c.body(document, 200, { 'content-type': 'application/json' }),
  );
  for (const { path, type, text } of PAGE_FILES) {
    app.get(path, trace('page', options), (c) =>
      c.body(text, 200, { 'content-type': type, 'content-security-policy': PAGE_POLICY }),
    );
  }
  app.all('*', trace('unknown', options), (c) => {
    throw new HandlerError('not_found', `there is no ${c.req.method} ${c.req.path}; see /openapi.json`);
  });
  app.onError((error, c) => answerProblem(c, error, log));
  return app;
}

function routesOf(parts: ApiParts): Route[] {
  return [
    ...submissionRoutes(parts),
    ...jobRoutes(parts),
    ...collectionRoutes(parts),
    ...searchRoutes(parts),
    ...webhookRoutes(parts),
    ...systemRoutes(parts),
  ];
}

/** The page loads nothing from elsewhere, and nothing else may be put into it. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function limitOf({ shape, maxBytes }: Route): MiddlewareHandler<ApiEnv>[] {
  if (shape.body === undefined) return [];
  const onError = (): never => {
    throw new HandlerError(
      'body_too_large',
      `the body has more than the ${maxBytes} bytes that are allowed here`,
    );
  };
  return [bodyLimit({ maxSize: maxBytes, onError })];
}
