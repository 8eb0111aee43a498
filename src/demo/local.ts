import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { startLocalCloud } from '../local/cloud.ts';
import { createProgressBar } from './progress-bar.ts';

/** `npm run local`: the whole cloud on this machine, until it is told to stop. */
const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, folder: { type: 'string', default: '.local' } },
});

const bar = createProgressBar('drawing the sample shelf');
const cloud = await startLocalCloud({
  folder: values.folder,
  persist: true,
  onProgress: ({ done, total }) => {
    bar.update(done, total);
    if (done === total) bar.end();
  },
});
const addresses = {
  supabase_url: cloud.supabaseUrl,
  supabase_service_key: cloud.supabaseServiceKey,
  qdrant_url: cloud.qdrantUrl,
  qdrant_api_key: cloud.qdrantApiKey,
  images_url: cloud.imagesUrl,
};
process.stdout.write(
  values.json
    ? `${JSON.stringify(addresses)}\n`
    : `A whole cloud on this machine, until Ctrl+C. Its data lie in ${values.folder}.

SUPABASE_URL=${addresses.supabase_url}
SUPABASE_SERVICE_ROLE_KEY=${addresses.supabase_service_key}
QDRANT_URL=${addresses.qdrant_url}
QDRANT_API_KEY=${addresses.qdrant_api_key}
ALLOW_PRIVATE_HOSTS=1

Pictures: ${addresses.images_url}
`,
);

await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
await cloud.close();
