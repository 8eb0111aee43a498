import type { Log } from '../base/log.ts';
import { createDirectHttp } from '../http/direct.ts';
import { createProtocolClient } from './client.ts';
import { startHeartbeat, type Heartbeat } from './heartbeat.ts';
import type { Platform } from './platform.ts';
import { createAddresses, takeHeaders } from './protocol.ts';
import type { WorkerSettings } from './worker.ts';

/** As the platform's own runtime has it. */
const PING_INTERVAL_MS = 10_000;

/**
 * RunPod's service, at the addresses that its environment names.
 * @throws SettingsError that names the variable that is missing.
 */
export function connectRunPod(settings: WorkerSettings, workerId: string, log: Log): Platform {
  const addresses = createAddresses(settings, workerId);
  const apiKey = settings.RUNPOD_AI_API_KEY;
  const http = createDirectHttp();
  let heartbeat: Heartbeat | undefined;
  return {
    ...createProtocolClient({ http, addresses, apiKey, log }),
    replacesWorkers: true,
    async ready() {
      const intervalMs = settings.RUNPOD_PING_INTERVAL ?? PING_INTERVAL_MS;
      heartbeat = await startHeartbeat(
        { ping: addresses.ping, headers: takeHeaders(apiKey), intervalMs },
        log,
      );
    },
    held: (jobId) => heartbeat?.held(jobId),
    released: (jobId) => heartbeat?.released(jobId),
    async close() {
      await heartbeat?.close();
      await http.close();
    },
  };
}
