import { expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { abortable, sleep } from '../../src/flow/time.ts';
import type { JobSpan } from '../../src/telemetry/job-span.ts';
import { createJobSpans } from '../../src/telemetry/spans.ts';
import { testCollector } from '../support/collector.ts';

const SPAN: JobSpan = { name: 'job', startMs: 1_000, endMs: 2_000, attributes: {}, parts: [] };

/** The SDK reads the address itself. */
async function withEndpoint(url: string, run: () => Promise<void>): Promise<void> {
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = url;
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT = '200';
  try {
    await run();
  } finally {
    delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
    delete process.env.OTEL_EXPORTER_OTLP_TIMEOUT;
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5);
}

test('a collector that was away is waited for once, and again when it has answered', async () => {
  await using collector = await testCollector();
  await withEndpoint(collector.url, async () => {
    const spans = createJobSpans({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
    });
    collector.answer = 'silent';
    await spans?.record(SPAN, SILENT_LOG);
    // Not even a turn of the event loop: with a timer it would have been waited for.
    await abortable(spans?.record(SPAN, SILENT_LOG) ?? Promise.resolve(), AbortSignal.timeout(100));
    await until(() => collector.requests.length === 2);
    collector.answer = 200;
    await spans?.record({ ...SPAN, name: 'back' }, SILENT_LOG);
    await until(() => collector.spans.length === 1);
    await spans?.record({ ...SPAN, name: 'waited for' }, SILENT_LOG);
    expect(collector.spans.map(({ name }) => name)).toEqual(['back', 'waited for']);
  });
});

test('no secret leaves in an attribute or a message', async () => {
  await using collector = await testCollector();
  await withEndpoint(collector.url, async () => {
    const spans = createJobSpans({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
    const error = { code: 'x', message: 'refused sb_secret_4711 by https://host/a?token=4711' };
    await spans?.record({ ...SPAN, attributes: { url: 'https://user:4711@host/' }, error }, SILENT_LOG);
    expect(collector.spans).toHaveLength(1);
    expect(collector.requests[0]?.body).not.toContain('4711');
  });
});

test.each([
  [{}],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://host', OTEL_SDK_DISABLED: 'TRUE' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://host', OTEL_TRACES_EXPORTER: 'console' }],
])('off: %j', (settings) => {
  expect(createJobSpans(settings)).toBeUndefined();
});
