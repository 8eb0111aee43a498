import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Simulator } from '../../src/worker/simulator/simulator.ts';

const SERVE = fileURLToPath(new URL('../../src/worker/serve.ts', import.meta.url));

export interface WorkerProcess extends AsyncDisposable {
  readonly pid: number;
  /** What it has logged so far. */
  log(): string;
  /** Resolves when the text stands in the log; rejects when the process ends without it. */
  logged(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** The exit code, or null where a signal ended it. */
  readonly ended: Promise<number | null>;
}

export interface HandlerSource {
  /** Source of an expression: the handler. */
  handler: string;
  /** Source of an expression: the options of `serve`. */
  options?: string;
  /** Source of statements before both. */
  before?: string;
  env?: Record<string, string>;
  args?: readonly string[];
}

/** A handler as a program in a process of its own. Disposing kills it and takes its folder away. */
export async function startHandler({
  handler,
  options = '{}',
  before = '',
  env = {},
  args = [],
}: HandlerSource): Promise<WorkerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'worker-'));
  const source = `
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from ${JSON.stringify(SERVE)};
void sleep;
/** Rejects with the reason when the signal aborts. */
export const aborted = (signal) => new Promise((_, reject) => {
  const held = setInterval(() => undefined, 1000);
  const end = () => { clearInterval(held); reject(signal.reason); };
  if (signal.aborted) end();
  signal.addEventListener('abort', end);
});
${before}
const handler = ${handler};
await serve(handler, ${options});
`;
  await writeFile(join(folder, 'worker.mjs'), source);
  const child = spawn(process.execPath, ['worker.mjs', ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LOG_LEVEL: 'debug', ...env },
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (text += part));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    pid: child.pid ?? 0,
    log: () => text,
    logged: (wanted) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (text.includes(wanted)) resolve();
        };
        look();
        child.stdout.on('data', look);
        child.stderr.on('data', look);
        child.on('close', () => reject(new Error(`ended without "${wanted}": ${text}`)));
      }),
    kill: (signal) => void child.kill(signal),
    ended,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

/** A worker in a process of its own, served by the simulator. */
export function startWorker(
  simulator: Simulator,
  { workerId = 'w1', env = {}, ...source }: HandlerSource & { workerId?: string },
): Promise<WorkerProcess> {
  return startHandler({ ...source, env: { ...simulator.env(workerId), ...env } });
}

/** The job's result: waits for it. */
export async function resultOf(simulator: Simulator, jobId: string) {
  return simulator.waitFor(() => simulator.results.get(jobId)?.[0], { what: `the result of ${jobId}` });
}

/** The error object inside a result. */
export async function errorOf(simulator: Simulator, jobId: string): Promise<Record<string, string>> {
  const { error } = await resultOf(simulator, jobId);
  return JSON.parse(String(error)) as Record<string, string>;
}
