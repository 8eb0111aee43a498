/**
 * A training worker that runs one job as a process of its own, with a checkpoint after every step, each of which goes to
 * the bucket where TEST_UPLOADS is set: `--test_input JSON`.
 */
import { createClassificationHandler } from '../../handlers/cls.ts';
import { createClassificationTools } from '../../src/classification/tools.ts';
import { serve } from '../../src/worker/serve.ts';

const tools = createClassificationTools();
const runsFolder = process.env.TEST_RUNS_FOLDER;
if (runsFolder === undefined) throw new Error('TEST_RUNS_FOLDER is not set');
const uploads = process.env.TEST_UPLOADS === undefined ? {} : { uploadIntervalMs: 0 };
await serve(createClassificationHandler({ ...tools, runsFolder, checkpointIntervalMs: 0, ...uploads }));
