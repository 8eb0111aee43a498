import { once } from 'node:events';

import { readCommandLine } from './command-line.ts';
import { startShelfCloud } from './shelf-cloud.ts';

/** `npm run local`: the whole cloud on this machine, until it is told to stop. */
const { json, folder } = readCommandLine(
  'npm run local: Supabase, Qdrant and an image server on this machine, with a sample shelf, until Ctrl+C',
);

const cloud = await startShelfCloud({ folder, persist: true });
const addresses = {
  supabase_url: cloud.supabaseUrl,
  supabase_service_key: cloud.supabaseServiceKey,
  qdrant_url: cloud.qdrantUrl,
  qdrant_api_key: cloud.qdrantApiKey,
  images_url: cloud.imagesUrl,
};
process.stdout.write(
  json
    ? `${JSON.stringify(addresses)}\n`
    : `A whole cloud on this machine, until Ctrl+C. Its data lie in ${folder}; to begin anew, delete it.
Paste this into the shell that runs jobs:

export SUPABASE_URL=${addresses.supabase_url}
export SUPABASE_SERVICE_ROLE_KEY=${addresses.supabase_service_key}
export QDRANT_URL=${addresses.qdrant_url}
export QDRANT_API_KEY=${addresses.qdrant_api_key}
export ALLOW_PRIVATE_HOSTS=1

Pictures: ${addresses.images_url}
`,
);

await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
await cloud.close();
