import type { RunKindName } from '../api/runs/run-kinds.ts';
import type { RunStateless } from '../api/search/embed-image.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import { invoke } from '../worker/invoke.ts';
import { serve } from '../worker/serve.ts';
import type { Handler } from '../worker/types.ts';

export interface OpenHandler {
  handler: Handler;
  close(): Promise<void>;
}

/** The handler of a run's kind in this process. ONNX Runtime and sharp are loaded here, and nowhere before. */
export async function openHandler(kind: RunKindName, settings: Settings): Promise<OpenHandler> {
  if (kind === 'embedding') {
    const { createEmbeddingHandler } = await import('../../handlers/embedding.ts');
    const { createEmbeddingTools } = await import('../embedding/tools.ts');
    const tools = createEmbeddingTools(settings);
    return { handler: createEmbeddingHandler(tools), close: () => tools.close() };
  }
  const { createClassificationHandler } = await import('../../handlers/cls.ts');
  const { createClassificationTools } = await import('../classification/tools.ts');
  const tools = createClassificationTools(settings);
  return { handler: createClassificationHandler(tools), close: () => tools.close() };
}

export interface StatelessHere extends AsyncDisposable {
  run: RunStateless;
}

/** Embeds in this process, by the handler that fills collections. Models are loaded when they are first asked for. */
export function statelessHere(settings: Settings, log: Log): StatelessHere {
  let opened: Promise<OpenHandler> | undefined;
  return {
    async run(input, signal) {
      const { handler } = await (opened ??= openHandler('embedding', settings));
      return invoke(handler, input, { signal, log });
    },
    async [Symbol.asyncDispose]() {
      await (await opened)?.close();
    },
  };
}

/** A handler as the program that its image starts. @returns the exit code. */
export async function serveHandler(name: 'embedding' | 'cls', argv: readonly string[]): Promise<number> {
  if (name === 'embedding') {
    const { handler } = await import('../../handlers/embedding.ts');
    const { embeddingFitness } = await import('../embedding/fitness.ts');
    return serve(handler, { fitnessChecks: embeddingFitness() }, { argv });
  }
  const { handler } = await import('../../handlers/cls.ts');
  const { classificationFitness } = await import('../classification/fitness.ts');
  return serve(handler, { fitnessChecks: classificationFitness() }, { argv });
}
