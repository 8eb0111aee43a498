import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A worker as a process of its own. */
export interface WorkerProcess extends AsyncDisposable {
  /** False where it had ended already. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): boolean;
  /** Resolves with how it ended; `'hung'` where it had to be ended. */
  ended: Promise<{ code: number | null; signal: string | null } | 'hung'>;
  /** The last that it said, log and output. */
  lastWords(): string;
}

const PROGRAM = fileURLToPath(new URL('./worker.ts', import.meta.url));
/** Longer than any job here, with all its waits, on a busy machine. */
const HANG_MS = 180_000;
/** What is left of a process's words. */
const KEPT_CHARS = 4_000;
const BATCH_SIZE = '4';

/** Runs one job, and ends. */
export function startWorker(input: Record<string, unknown>): WorkerProcess {
  return startProcess(['--test_input', JSON.stringify({ input })]);
}

/** Serves the queue that the environment names, until it is killed. */
export function startServer(env: Readonly<Record<string, string>>): WorkerProcess {
  return startProcess([], env);
}

function startProcess(args: readonly string[], env: Readonly<Record<string, string>> = {}): WorkerProcess {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Nothing of the caller's environment decides what a job does.
    env: {
      ...env,
      PATH: process.env.PATH,
      ALLOW_PRIVATE_HOSTS: '1',
      BATCH_SIZE,
      INFERENCE_THREADS: '1',
      HF_HUB_OFFLINE: '1',
      HF_HUB_CACHE: '/nowhere/hub',
    },
  });
  let words = '';
  const keep = (chunk: Buffer): void => {
    words = (words + chunk.toString()).slice(-KEPT_CHARS);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let hung = false;
  const patience = setTimeout(() => {
    hung = true;
    child.kill('SIGKILL');
  }, HANG_MS);
  const ended = once(child, 'close').then(([code, signal]: (number | string | null)[]) => {
    clearTimeout(patience);
    return hung ? 'hung' : { code: code as number | null, signal: signal as string | null };
  });
  return {
    kill: (signal) => child.kill(signal),
    ended,
    lastWords: () => words,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
