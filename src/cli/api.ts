import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { startApi } from '../api/http/start-api.ts';
import { messageOf } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { readSettings } from '../base/settings.ts';

/** `npm run api`: the HTTP API, until SIGINT or SIGTERM. Its first line on standard output says where. */
try {
  const settings = readSettings();
  const log = createLog({
    level: settings.LOG_LEVEL ?? 'info',
    format: process.stderr.isTTY ? 'text' : 'json',
  });
  // ONNX Runtime and sharp are loaded by this process only where it embeds.
  const here =
    settings.API_EMBED_HERE === true ? (await import('./run-here.ts')).runHere(settings, log) : undefined;
  const api = await startApi({
    settings,
    version: await versionOf(import.meta.url),
    log,
    runStateless: here?.run,
  });
  process.stdout.write(`${JSON.stringify({ url: api.url, docs: `${api.url}/docs` })}\n`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  log.info('The API is stopping');
  await api.close();
  await here?.close();
  // A connection to RunPod that failed leaves a timer behind.
  process.exit(0);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
}

/** The package's own, found from here upwards: sources and `dist/` lie at different depths. */
async function versionOf(module: string): Promise<string> {
  for (let folder = dirname(fileURLToPath(module)); ; folder = dirname(folder)) {
    const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
    if (folder === dirname(folder)) return '0.0.0';
  }
}
