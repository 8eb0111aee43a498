/** One contender in a process of its own, so that what one leaves behind costs the others nothing. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { openContender, type Figures, type Variant } from './contenders.ts';
import type { Setup } from './setup.ts';

const SELF = fileURLToPath(import.meta.url);

export interface RunningContender extends AsyncDisposable {
  run(images: number, variant?: Variant): Promise<Figures>;
}

interface Order {
  images: number;
  variant: Variant;
}

export async function startContender(name: string, setup: Setup): Promise<RunningContender> {
  const child = fork(SELF, [name, JSON.stringify(setup)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${name} ended before its time: see above`);
  });
  failed.catch(() => undefined);
  const answer = async (): Promise<unknown> => {
    const [message] = (await Promise.race([once(child, 'message'), failed])) as unknown[];
    return message;
  };
  await answer();
  return {
    async run(images, variant = {}) {
      const answered = answer();
      child.send({ images, variant } satisfies Order);
      return (await answered) as Figures;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await failed.catch(() => undefined);
    },
  };
}

if (process.argv[1] === SELF) {
  const [, , name = '', setup = ''] = process.argv;
  const run = await openContender(name, JSON.parse(setup) as Setup);
  process.on('message', ({ images, variant }: Order) => {
    void run(images, variant).then((figures) => process.send?.(figures));
  });
  // Whoever gave the orders is gone.
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}
