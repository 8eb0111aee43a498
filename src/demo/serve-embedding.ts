import { fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { environmentWith } from '../base/settings.ts';

export interface ServedHandler extends AsyncDisposable {
  /** Where clients of RunPod's API find it, without the endpoint's name. */
  baseUrl: string;
}

// The compiler does not rewrite this name: the handler's file has the ending that this one runs with.
const HANDLER = fileURLToPath(
  new URL(`../../handlers/embedding${extname(import.meta.url)}`, import.meta.url),
);
/** How long it may take to end by itself. */
const END_MS = 5_000;
const ANNOUNCEMENT = z.object({ base_url: z.url() });

/**
 * The embedding handler as an endpoint on this machine, in a process of its own, at any port that is free. It ends with
 * this process, however that ends; on SIGINT and SIGTERM this process ends after it.
 */
export async function serveEmbedding(environment: Record<string, string>): Promise<ServedHandler> {
  const child = fork(HANDLER, ['--rp_serve_api', '--rp_api_port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: environmentWith(environment),
  });
  const exited = once(child, 'exit');
  const end = async (): Promise<void> => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), END_MS);
    await exited;
    clearTimeout(late);
  };
  const onSignal = (_: NodeJS.Signals, number: number): void => {
    void end().finally(() => process.exit(128 + number));
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const close = async (): Promise<void> => {
    await end();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
  try {
    const line = await Promise.race([firstLine(child.stdout), exited]);
    if (typeof line !== 'string') throw new Error('the embedding handler ended before it served');
    return { baseUrl: ANNOUNCEMENT.parse(JSON.parse(line)).base_url, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function firstLine(output: Readable | null): Promise<string> {
  if (output === null) throw new TypeError('the embedding handler has no standard output');
  const [line] = (await once(createInterface(output), 'line')) as [string];
  return line;
}
