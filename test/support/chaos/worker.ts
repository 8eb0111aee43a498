/** The embedding worker, as `handlers/embedding.ts` is one, in steps so small that a death lies between two. */
import { createEmbeddingHandler } from '../../../handlers/embedding.ts';
import { createEmbeddingTools } from '../../../src/embedding/tools.ts';
import { serve } from '../../../src/worker/serve.ts';

const WRITE_SIZE = 8;
const DOWNLOADS = 8;

const tools = createEmbeddingTools();
const limits = { ...tools.limits, downloads: DOWNLOADS, writeSize: WRITE_SIZE };
await serve(createEmbeddingHandler({ ...tools, limits }));
await tools.close();
