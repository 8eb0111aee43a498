import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { startSimulator } from './simulator.ts';

/** `npm run simulator`: a RunPod endpoint as its workers see it, until it is told to stop. */
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: '127.0.0.1' },
    worker: { type: 'string' },
    'no-record': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const simulator = await startSimulator({
  port: Number(values.port),
  host: values.host,
  ...(values['no-record'] ? { maxRequests: 0 } : {}),
});
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
