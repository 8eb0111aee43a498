import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunningCli {
  process: ChildProcess;
  /** Resolves with what it has written to standard output so far, as soon as that matches. */
  said(pattern: RegExp): Promise<string>;
  ended: Promise<Ended>;
}

export interface CliOptions {
  /** The whole environment, but for PATH. */
  env?: Readonly<Record<string, string>>;
  stdin?: string;
  cwd?: string;
}

/** The command line as a stranger's shell runs it, in a process of its own. */
export function startCli(args: readonly string[], { env = {}, stdin, cwd }: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...env },
    cwd,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (part: string) => (stdout += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (stderr += part));
  child.stdin.end(stdin);
  const closed = once(child, 'close') as Promise<[number | null]>;
  return {
    process: child,
    async said(pattern) {
      while (!pattern.test(stdout)) {
        const ended = await Promise.race([
          once(child.stdout, 'data').then(() => false),
          closed.then(() => true),
        ]);
        if (ended && !pattern.test(stdout))
          throw new Error(`it ended and never said that: ${stdout}${stderr}`);
      }
      return stdout;
    },
    ended: closed.then(([code]) => ({ code, stdout, stderr })),
  };
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  return startCli(args, options).ended;
}

/** One JSON value, or one a line. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
