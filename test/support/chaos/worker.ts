/** The embedding worker as a program, as `handlers/embedding.ts` is one, in steps so small that a death lies between two. */
import { createEmbeddingHandler } from '../../../handlers/embedding.ts';
import { createEmbeddingTools } from '../../../src/embedding/tools.ts';
import { runAsProgram } from '../../../src/worker/program.ts';

const WRITE_SIZE = 8;
const DOWNLOADS = 8;

const tools = createEmbeddingTools();
const limits = { ...tools.limits, downloads: DOWNLOADS, writeSize: WRITE_SIZE };
process.exitCode = await runAsProgram(createEmbeddingHandler({ ...tools, limits }));
await tools.close();
