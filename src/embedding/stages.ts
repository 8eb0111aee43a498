import type { ExtractOptions } from './extract.ts';
import { signImages, type SignPaths } from '../job/sign.ts';
import type { EmbeddingTools } from './tools.ts';

/** The stages that are the same for every job, made of the tools. */
export function stagesOf(
  tools: EmbeddingTools,
  sign: SignPaths,
): Pick<ExtractOptions, 'sign' | 'source' | 'decode' | 'limits'> {
  return { sign: signImages(sign), source: tools.source, decode: tools.decode, limits: tools.limits };
}
