import { parentPort, workerData, type MessagePort } from 'node:worker_threads';

import { openEngine, type Engine, type Row } from './engine.ts';
import { serve } from './serve.ts';

/** What the thread is started with. */
export interface ThreadOptions {
  folder: string;
  inMemory: boolean;
  port: number;
  serviceKey: string;
}

export type ThreadCall =
  | { id: number; task: 'sql'; text: string; parameters: readonly unknown[] | undefined }
  | { id: number; task: 'close' };

export type ThreadAnswer =
  { id: number; rows: Row[] } | { id: number; error: { message: string; code: string | undefined } };

/** The entry of the thread that the database and its HTTP server live in. */
async function run(port: MessagePort, options: ThreadOptions): Promise<void> {
  // The port first: where it is taken, nothing else need be begun. Requests that come early wait.
  const opened = Promise.withResolvers<Engine>();
  const server = await serve(async (request) => (await opened.promise).answer(request), options);
  const engine = await openEngine(options);
  opened.resolve(engine);
  const perform = async (call: ThreadCall): Promise<Row[]> => {
    if (call.task === 'sql') return engine.sql(call.text, call.parameters);
    await server.close();
    await engine.close();
    return [];
  };
  port.on('message', (call: ThreadCall) => {
    const { id } = call;
    perform(call).then(
      (rows) => {
        port.postMessage({ id, rows } satisfies ThreadAnswer);
        if (call.task === 'close') port.close();
      },
      (error: unknown) => {
        const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
        const message = error instanceof Error ? error.message : String(error);
        port.postMessage({ id, error: { message, code } } satisfies ThreadAnswer);
      },
    );
  });
  port.postMessage(server.url);
}

if (parentPort !== null) await run(parentPort, workerData as ThreadOptions);
