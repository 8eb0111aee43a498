import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { messageOf } from '../../base/errors.ts';
import { startSimulator } from './simulator.ts';

/** `npm run simulator`: a RunPod endpoint as its workers see it, until it is told to stop. */
const OPTIONS = {
  port: { type: 'string', default: '0' },
  host: { type: 'string', default: '127.0.0.1' },
  worker: { type: 'string' },
  'no-record': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;
const USAGE = `npm run simulator -- [--port PORT] [--host HOST] [--worker ID] [--json] [--no-record]`;

function readOptions() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    if (/^\d{1,5}$/.test(values.port)) return values;
    return refuse('--port: expected a whole number, 0 for any that is free');
  } catch (error) {
    return refuse(messageOf(error));
  }
}

/** Ends the process: what was asked cannot be done. */
function refuse(why: string): never {
  process.stderr.write(`${why}\n\n${USAGE}\n`);
  process.exit(2);
}

const values = readOptions();
const simulator = await startSimulator({
  port: Number(values.port),
  host: values.host,
  ...(values['no-record'] ? { maxRequests: 0 } : {}),
}).catch((error: unknown) =>
  refuse(`the simulator cannot listen at ${values.host}, port ${values.port}: ${messageOf(error)}`),
);
const variables = simulator.env(values.worker);

process.stdout.write(
  values.json
    ? `${JSON.stringify({ url: simulator.url, env: variables })}\n`
    : `A RunPod endpoint as its workers see it, at ${simulator.url}, until Ctrl+C. For the worker's shell:

${Object.entries(variables)
  .map(([key, value]) => `export ${key}='${value}'`)
  .join('\n')}

Submit a job:        curl ${simulator.url}/simulator/jobs -d '{"input": {}}'
See what was sent:   curl ${simulator.url}/simulator/requests
`,
);
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
await simulator.close();
