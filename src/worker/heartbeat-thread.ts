/** The thread that tells the platform which jobs this worker holds. Started by heartbeat.ts. */
import { parentPort, workerData } from 'node:worker_threads';

import { messageOf } from '../base/errors.ts';
import { createDirectHttp } from '../http/direct.ts';
import type { FromHeartbeat, HeartbeatOptions, ToHeartbeat } from './heartbeat-messages.ts';
import { withJobIds } from './protocol.ts';

const { ping, headers, intervalMs, held: before } = workerData as HeartbeatOptions;
const http = createDirectHttp();
const held = new Set(before);
let failing = false;

function send(message: FromHeartbeat): void {
  parentPort?.postMessage(message);
}

/** Each at its time, even when the one before hangs. */
async function beat(): Promise<void> {
  try {
    const url = withJobIds(ping, [...held]);
    const { status } = await http.request({ method: 'GET', url, headers, timeoutMs: intervalMs * 2 });
    if (status > 299) throw new Error(`a ping was answered with status ${String(status)}`);
    if (failing) send({ type: 'recovered' });
    failing = false;
  } catch (error) {
    if (!failing) send({ type: 'failed', reason: messageOf(error) });
    failing = true;
  }
}

parentPort?.on('message', (message: ToHeartbeat) => {
  if (message.type === 'held') held.add(message.id);
  else held.delete(message.id);
});
setInterval(() => void beat(), intervalMs);
void beat();
send({ type: 'ready' });
