import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** How long a process may take to end by itself. */
const END_MS = 8_000;
const running = new Set<ChildProcess>();
/** Whatever happens to this one, what it started does not outlive it. */
process.on('exit', () => {
  for (const child of running) signal(child, 'SIGKILL');
});

export interface Running {
  child: ChildProcess;
  exited: Promise<unknown>;
  /** Both outputs so far. */
  said: () => string;
  /** Ends it and all that it started. */
  end(): Promise<void>;
}

export interface Place {
  cwd: string;
  env: Record<string, string>;
}

/** A bash that is a process group of its own, so that npm and what it starts end with it. */
export function startBash(script: string, { cwd, env }: Place): Running {
  const child = spawn('bash', ['-c', script], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const exited = once(child, 'close').finally(() => running.delete(child));
  let text = '';
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (part: string) => (text += part));
  }
  const end = async (): Promise<void> => {
    signal(child, 'SIGTERM');
    const late = setTimeout(() => signal(child, 'SIGKILL'), END_MS);
    await exited;
    clearTimeout(late);
  };
  return { child, exited, said: () => text, end };
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // It has ended.
  }
}
