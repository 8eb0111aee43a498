import { once } from 'node:events';

import { startShelfCloud } from './shelf-cloud.ts';
import type { Terminal } from './terminal.ts';

/** The local cloud, kept in the folder, until the signal. */
export async function serveLocal(folder: string, io: Terminal, signal: AbortSignal): Promise<void> {
  await using cloud = await startShelfCloud({ folder, persist: true, signal });
  const addresses = {
    supabase_url: cloud.supabaseUrl,
    supabase_service_key: cloud.supabaseServiceKey,
    qdrant_url: cloud.qdrantUrl,
    qdrant_api_key: cloud.qdrantApiKey,
    images_url: cloud.imagesUrl,
  };
  io.result(
    addresses,
    `A whole cloud on this machine, until Ctrl+C. Its data lie in ${folder}; to begin anew, delete it.
Paste this into the shell that runs jobs:

export SUPABASE_URL=${addresses.supabase_url}
export SUPABASE_SERVICE_ROLE_KEY=${addresses.supabase_service_key}
export QDRANT_URL=${addresses.qdrant_url}
export QDRANT_API_KEY=${addresses.qdrant_api_key}
export ALLOW_PRIVATE_HOSTS=1

Pictures: ${addresses.images_url}`,
  );
  if (!signal.aborted) await once(signal, 'abort');
}
