import { once } from 'node:events';

import { defineCommand } from '../command.ts';

export const api = defineCommand({
  name: 'api',
  summary: 'Serve the HTTP API, and look after runs, until SIGINT or SIGTERM',
  details: 'Its settings are variables whose names begin with API_; docs/api.md has its routes.',
  async run({ io, signal }) {
    const { createLog } = await import('../../base/log.ts');
    const { readSettings } = await import('../../base/settings.ts');
    const { startApi } = await import('../../api/http/start-api.ts');
    const { ownPackage } = await import('../version.ts');
    const settings = readSettings();
    const log = createLog({
      level: settings.LOG_LEVEL ?? 'info',
      format: process.stderr.isTTY ? 'text' : 'json',
    });
    // ONNX Runtime and sharp are loaded by this process only where it embeds.
    await using here =
      settings.API_EMBED_HERE === true
        ? (await import('../handlers.ts')).statelessHere(settings, log)
        : undefined;
    const { version } = await ownPackage();
    await using server = await startApi({ settings, version, log, runStateless: here?.run });
    const docs = `${server.url}/docs`;
    io.result({ url: server.url, docs }, `The API listens at ${server.url}; try it at ${docs}`);
    if (!signal.aborted) await once(signal, 'abort');
    log.info('The API is stopping');
    return undefined;
  },
});
