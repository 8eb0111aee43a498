import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const HANDLER = fileURLToPath(new URL('../../../handlers/embedding.ts', import.meta.url));

/** The embedding handler as an endpoint of RunPod's API, in a process of its own. */
export interface EmbeddingEndpoint extends AsyncDisposable {
  /** As in `https://api.runpod.ai`. */
  url: string;
  port: string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

export async function startEmbeddingEndpoint(
  environment: Record<string, string>,
  port = '0',
): Promise<EmbeddingEndpoint> {
  const child = spawn(process.execPath, [HANDLER, '--rp_serve_api', '--rp_api_port', port], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      PATH: process.env.PATH,
      LOG_LEVEL: 'error',
      HF_HUB_OFFLINE: '1',
      HF_HUB_CACHE: '/nowhere/hub',
      ALLOW_PRIVATE_HOSTS: '1',
      BATCH_SIZE: '4',
      ...environment,
    },
  });
  const exited = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), exited]);
  const { url } = JSON.parse(String(line[0])) as { url: string };
  return { url, port: new URL(url).port, kill, [Symbol.asyncDispose]: kill };
}
