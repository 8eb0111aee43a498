import { redact } from '../base/redact.ts';
import type { Settings } from '../base/settings.ts';
import type { ExportOptions } from './export.ts';
import type { JobSpan, JobSpans } from './job-span.ts';

type SpanSettings = Pick<Settings, Extract<keyof Settings, `OTEL_${string}`>>;

/** What is waited for a collector where OTEL_EXPORTER_OTLP_TIMEOUT says nothing; the SDK's own 10 s is long for a job. */
const TIMEOUT_MS = 2_000;

/**
 * Where spans go: undefined where no endpoint is configured, and then no line of OpenTelemetry is loaded.
 *
 * Only what decides about that is read here, from the settings. Everything else of the exporter and the resource
 * (OTEL_EXPORTER_OTLP_HEADERS, ..._COMPRESSION, ..._CERTIFICATE, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) is read by
 * the SDK, from the environment and in its own way: what its documentation says holds.
 */
export function createJobSpans(settings: SpanSettings): JobSpans | undefined {
  if (!isConfigured(settings)) return undefined;
  let exporting: Promise<(span: JobSpan) => Promise<void>> | undefined;
  /** A collector that did not answer is not waited for again, until it does. */
  let isAway = false;

  const deliver = async (span: JobSpan): Promise<string | undefined> => {
    try {
      exporting ??= import('./export.ts').then(({ openExport }) => openExport(exportOptions(settings)));
      await (
        await exporting
      )(redacted(span));
      isAway = false;
      return undefined;
    } catch (error) {
      isAway = true;
      return reasonOf(error);
    }
  };

  return {
    async record(span, log) {
      const delivered = deliver(span).then((reason) => {
        if (reason !== undefined) log.warn('Spans were not delivered', { reason });
      });
      if (!isAway) await delivered;
    },
  };
}

/** The SDK itself looks at none of these. */
function isConfigured(settings: SpanSettings): boolean {
  const { OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER = 'otlp' } = settings;
  const endpoint = settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? settings.OTEL_EXPORTER_OTLP_ENDPOINT;
  const exporters = OTEL_TRACES_EXPORTER.split(',').map((name) => name.trim());
  return endpoint !== undefined && OTEL_SDK_DISABLED?.toLowerCase() !== 'true' && exporters.includes('otlp');
}

function exportOptions(settings: SpanSettings): ExportOptions {
  const isSet =
    settings.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT !== undefined ||
    settings.OTEL_EXPORTER_OTLP_TIMEOUT !== undefined;
  return {
    timeoutMs: isSet ? undefined : TIMEOUT_MS,
    sampler: settings.OTEL_TRACES_SAMPLER,
    samplerArgument: settings.OTEL_TRACES_SAMPLER_ARG,
  };
}

/** Nothing secret leaves the process, whatever was put into an attribute. */
function redacted({ attributes, error, ...span }: JobSpan): JobSpan {
  return {
    ...span,
    attributes: Object.fromEntries(
      Object.entries(attributes).map(([key, value]) => [
        key,
        typeof value === 'string' ? redact(value) : value,
      ]),
    ),
    ...(error && { error: { ...error, message: redact(error.message) } }),
  };
}

function reasonOf(error: unknown): string {
  const first: unknown = Array.isArray(error) ? error[0] : error;
  return first !== null && typeof first === 'object' && 'message' in first
    ? String(first.message)
    : String(first);
}
