import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** Files that are decoded at once. */
export interface DecodeQuestion {
  files: readonly Uint8Array[];
}

export type DecodeOutcome = { pixels: Uint8Array } | { code: string } | { unforeseen: string };

export interface DecodeAnswer {
  outcomes: readonly DecodeOutcome[];
  /** Most memory that the process held while it decoded these, all of Node included. */
  peakBytes: number;
}

export interface DecodeProcess extends AsyncDisposable {
  /** What became of the files; `crashed` or `hung` where there was no answer: the next call gets a new process. */
  decode(files: readonly Uint8Array[]): Promise<DecodeAnswer | 'crashed' | 'hung'>;
  /** The next call gets a new process, whose memory is not yet in pieces. */
  renew(): Promise<void>;
}

/** Decodes in a process of its own, that may crash, hang and eat memory without harm to anybody. */
export function createDecodeProcess(options: { hangMs: number }): DecodeProcess {
  let child: ChildProcess | undefined;
  const start = async (): Promise<ChildProcess> => {
    const started = fork(path.join(import.meta.dirname, 'decode-child.ts'), {
      serialization: 'advanced',
      execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await once(started, 'message');
    return started;
  };
  const end = async (ended: ChildProcess): Promise<void> => {
    child = undefined;
    if (ended.exitCode !== null || ended.signalCode !== null) return;
    const gone = once(ended, 'exit');
    ended.kill('SIGKILL');
    await gone;
  };
  return {
    async decode(files) {
      const asked = (child ??= await start());
      const { promise, resolve } = Promise.withResolvers<DecodeAnswer | 'crashed' | 'hung'>();
      const onMessage = (answer: DecodeAnswer): void => {
        resolve(answer);
      };
      const onExit = (): void => {
        resolve('crashed');
      };
      const timer = setTimeout(() => {
        resolve('hung');
      }, options.hangMs);
      asked.once('message', onMessage).once('exit', onExit);
      asked.send({ files } satisfies DecodeQuestion);
      const answer = await promise;
      clearTimeout(timer);
      asked.off('message', onMessage).off('exit', onExit);
      if (typeof answer === 'string') await end(asked);
      return answer;
    },
    async renew() {
      if (child !== undefined) await end(child);
    },
    async [Symbol.asyncDispose]() {
      if (child !== undefined) await end(child);
    },
  };
}
