/** All that is written against OpenTelemetry's SDK. Loaded by spans.ts where an endpoint is configured. */
import { context, SpanStatusCode, trace, type Context, type Span } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type ReadableSpan,
  type Sampler,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';

import type { JobSpan, PartSpan } from './job-span.ts';

const SERVICE_NAME = 'gpu-handlers';

export interface ExportOptions {
  /** Undefined: as the SDK reads it. */
  timeoutMs: number | undefined;
  sampler: string | undefined;
  samplerArgument: string | undefined;
}

/**
 * Sends the spans of one job in one request: OTLP over HTTP, as JSON.
 * Rejects where they were not taken within the exporter's time.
 */
export function openExport(options: ExportOptions): (span: JobSpan) => Promise<void> {
  const { timeoutMs } = options;
  const exporter = new OTLPTraceExporter(timeoutMs === undefined ? {} : { timeoutMillis: timeoutMs });
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': SERVICE_NAME }))
    .merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }));
  const sampler = samplerOf(options);

  return async (job) => {
    const ended: ReadableSpan[] = [];
    const provider = new TracerProvider({ resource, sampler, spanProcessors: [collecting(ended)] });
    const tracer = provider.getTracer(SERVICE_NAME);
    const start = ({ name, startMs, attributes }: PartSpan, parent: Context): Span =>
      tracer.startSpan(name, { startTime: startMs, attributes: { ...attributes } }, parent);
    const span = start(job, context.active());
    const inside = trace.setSpan(context.active(), span);
    for (const part of job.parts) start(part, inside).end(part.endMs);
    if (job.error !== undefined) {
      span.setAttribute('error.type', job.error.code);
      span.setStatus({ code: SpanStatusCode.ERROR, message: job.error.message });
    }
    span.end(job.endMs);
    if (ended.length > 0) await send(exporter, ended);
  };
}

function send(exporter: OTLPTraceExporter, spans: ReadableSpan[]): Promise<void> {
  return new Promise((resolve, reject) => {
    exporter.export(spans, ({ error, code }) => {
      // 0 is success: the enumeration is in a package of the SDK's own.
      if ((code as number) === 0) resolve();
      else reject(error ?? new Error('the exporter gave no reason'));
    });
  });
}

/** Keeps what was sampled. */
function collecting(ended: ReadableSpan[]): SpanProcessor {
  return {
    onStart: () => undefined,
    onEnd: (span) => {
      if (span.spanContext().traceFlags === 1) ended.push(span);
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
}

/** As the specification names them; a job is always the root of its trace, so that a parent decides nothing. */
function samplerOf({ sampler, samplerArgument }: ExportOptions): Sampler {
  switch (sampler?.replace(/^parentbased_/, '')) {
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio': {
      const ratio = Number(samplerArgument ?? 1);
      return new TraceIdRatioBasedSampler(ratio >= 0 && ratio <= 1 ? ratio : 1);
    }
    default:
      return new AlwaysOnSampler();
  }
}
