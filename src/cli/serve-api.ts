import { once } from 'node:events';

import { startApi } from '../api/http/start-api.ts';
import { createLog, type Log } from '../base/log.ts';
import { readSettings, type Settings } from '../base/settings.ts';
import type { StatelessHere } from './handlers.ts';
import type { Terminal } from './terminal.ts';
import { ownPackage } from './version.ts';

/** The HTTP API, until the signal. */
export async function serveApi(io: Terminal, signal: AbortSignal): Promise<void> {
  const settings = readSettings();
  const format = process.stderr.isTTY ? 'text' : 'json';
  const log = createLog({ level: settings.LOG_LEVEL ?? 'info', format });
  const { version } = await ownPackage();
  await using here = await embeddingHere(settings, log);
  await using server = await startApi({ settings, version, log, runStateless: here?.run });
  const docs = `${server.url}/docs`;
  io.result({ url: server.url, docs }, `The API listens at ${server.url}; try it at ${docs}`);
  if (!signal.aborted) await once(signal, 'abort');
  log.info('The API is stopping');
}

/** ONNX Runtime and sharp are loaded by this process only where it embeds. */
async function embeddingHere(settings: Settings, log: Log): Promise<StatelessHere | undefined> {
  if (settings.API_EMBED_HERE !== true) return undefined;
  return (await import('./handlers.ts')).statelessHere(settings, log);
}
