import { createEmbeddingHandler } from '../../handlers/embedding.ts';
import type { RunStateless } from '../api/search/embed-image.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import { createEmbeddingTools } from '../embedding/tools.ts';
import { invoke } from '../worker/invoke.ts';

/** Embeds in this process, by the handler that fills collections. Models are loaded when they are first asked for. */
export function runHere(settings: Settings, log: Log): { run: RunStateless; close: () => Promise<void> } {
  const tools = createEmbeddingTools(settings);
  const handler = createEmbeddingHandler(tools);
  return { run: (input, signal) => invoke(handler, input, { signal, log }), close: () => tools.close() };
}
