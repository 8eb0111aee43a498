import { spawn } from 'node:child_process';

import { HandlerError } from '../../src/base/errors.ts';

/** Programs that deploying runs: git and docker. */
export interface Commands {
  /** Shows what the program prints. @throws HandlerError `command_failed` */
  run(program: string, args: readonly string[]): Promise<void>;
  /** What the program prints, or undefined where it fails. */
  ask(program: string, args: readonly string[]): Promise<string | undefined>;
}

export interface CommandOptions {
  folder: string;
  /** Secrets are left out by the caller: docker and its helpers need none of ours. */
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
}

export function createCommands({ folder, env, signal }: CommandOptions): Commands {
  const start = (program: string, args: readonly string[], show: boolean): Promise<Ended> =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        cwd: folder,
        env: { ...env },
        signal,
        stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'ignore'],
      });
      let output = '';
      child.stdout?.setEncoding('utf8').on('data', (part: string) => (output += part));
      child.on('error', (error: NodeJS.ErrnoException) => {
        const missing = error.code === 'ENOENT';
        reject(missing ? failed(`${program} is not installed`, error) : (signal.reason as Error));
      });
      child.on('close', (code) => {
        resolve({ code, output });
      });
    });
  return {
    async run(program, args) {
      const { code } = await start(program, args, true);
      if (code !== 0) throw failed(`${shown(program, args)} ended with exit code ${String(code)}`);
    },
    async ask(program, args) {
      const { code, output } = await start(program, args, false);
      return code === 0 ? output.trim() : undefined;
    },
  };
}

interface Ended {
  code: number | null;
  output: string;
}

export function shown(program: string, args: readonly string[]): string {
  return [program, ...args].join(' ');
}

function failed(message: string, cause?: Error): HandlerError {
  return new HandlerError('command_failed', message, cause === undefined ? {} : { cause });
}
