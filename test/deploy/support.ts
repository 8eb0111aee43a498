import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

import { main } from '../../scripts/deploy/main.ts';
import { startRestServer, type RestRequest, type RestServer } from '../support/runpod-rest.ts';

const run = promisify(execFile);
export const ROOT = join(import.meta.dirname, '..', '..');

export const SECRETS = {
  SUPABASE_SERVICE_ROLE_KEY: 'sb_secret_only-in-the-template',
  QDRANT_API_KEY: 'qdrant-key-4711',
  HF_TOKEN: 'token-of-the-hub-4712',
};

/** Writes down how it was called, and with which environment; fails where the file `fail-{verb}` lies beside it. */
const FAKE_DOCKER = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
env >>"$here/environment"
case $1 in
push) for last; do :; done; echo "$last" >>"$here/registry" ;;
manifest) grep -Fxq "$3" "$here/registry" 2>/dev/null || exit 1 ;;
esac
[ ! -e "$here/fail-$1" ]
`;

export interface Bench extends AsyncDisposable {
  server: RestServer;
  /** A checkout with one commit: what deploying reads of it. */
  folder: string;
  bin: string;
  /** The tag of the checked-out commit. */
  tag(): Promise<string>;
  commit(): Promise<void>;
  writeEnv(variables: Record<string, string>): Promise<void>;
  deploy(args: readonly string[], options?: DeployOptions): Promise<{ code: number; text: string }>;
  dockerCalls(): Promise<string[]>;
  /** The requests that change something, as `PATCH /v2/templates/tpl1`. */
  changes(): RestRequest[];
  env: Record<string, string | undefined>;
}

interface DeployOptions {
  env?: Record<string, string>;
  signal?: AbortSignal;
}

export async function startBench(): Promise<Bench> {
  const server = await startRestServer();
  const folder = await mkdtemp(join(tmpdir(), 'deploy-'));
  const bin = await mkdtemp(join(tmpdir(), 'deploy-bin-'));
  await writeFile(join(bin, 'docker'), FAKE_DOCKER);
  await chmod(join(bin, 'docker'), 0o755);
  await mkdir(join(folder, 'handlers'));
  for (const file of ['package.json', 'handlers/embedding.test_input.json'])
    await cp(join(ROOT, file), join(folder, file));
  await writeFile(join(folder, 'handlers/cls.test_input.json'), '{"input": {"model_name": "demo"}}');
  await writeFile(join(folder, '.gitignore'), '.env*\nnode_modules\nsrc\nscripts\n');
  const git = async (...args: string[]): Promise<string> =>
    (await run('git', args, { cwd: folder })).stdout.trim();
  await git('init', '--quiet');
  const commit = async (): Promise<void> => {
    await git('add', '--all');
    const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.invalid'];
    await git(...who, 'commit', '--quiet', '--allow-empty', '--message', 'test');
  };
  await commit();
  const writeEnv = async (variables: Record<string, string>): Promise<void> => {
    const lines = Object.entries(variables).map(([key, value]) => `${key}=${value}\n`);
    await writeFile(join(folder, '.env'), lines.join(''));
  };
  const env = { PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`, HOME: process.env.HOME };
  await writeEnv({
    RUNPOD_API_KEY: server.key,
    IMAGE_REPOSITORY: 'registry.example.invalid/acme/gpu-handlers',
    RUNPOD_REST_URL: server.url,
    RUNPOD_JOBS_URL: server.url,
    SUPABASE_URL: 'https://project.example.invalid',
    ...SECRETS,
  });
  return {
    server,
    folder,
    bin,
    env,
    commit,
    writeEnv,
    tag: async () => (await git('rev-parse', 'HEAD')).slice(0, 12),
    async deploy(args, { env: more = {}, signal = new AbortController().signal } = {}) {
      let text = '';
      const out = (part: string): void => void (text += part);
      const code = await main({ argv: args, env: { ...env, ...more }, folder, out, signal, pollMs: 1 });
      return { code, text };
    },
    dockerCalls: async () =>
      (await readFile(join(bin, 'calls'), 'utf8').catch(() => '')).split('\n').filter(Boolean),
    changes: () => server.requests.filter(({ method, path }) => method !== 'GET' && !path.endsWith('/run')),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
      await rm(bin, { recursive: true, force: true });
    },
  };
}
