import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseEnv } from 'node:util';

import { HandlerError, messageOf, SettingsError } from '../../src/base/errors.ts';
import { isSecretKey, withoutSecret } from '../../src/base/redact.ts';
import type { HandlerName } from '../images/checks.ts';
import { apply, readBefore, type Target } from './apply.ts';
import { readArguments, USAGE, UsageError, type Asked } from './arguments.ts';
import { createCommands, type Commands } from './commands.ts';
import { printDryRun } from './dry-run.ts';
import { assertCommitted, buildAndPush, commitOf, imageOf, isPushed, tagOf, type Build } from './image.ts';
import { createRunPod, type RunPod } from './runpod.ts';
import { readDeploySettings, type DeploySettings } from './settings.ts';
import { smokeTest } from './smoke.ts';

const POLL_MS = 3_000;

export interface MainOptions {
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** The checkout. */
  folder: string;
  out: (text: string) => void;
  signal: AbortSignal;
  /** Between two looks at a job. */
  pollMs?: number;
}

/** @returns the exit code: 0; 1 where the deployment failed; 2 where it was asked for wrongly. */
export async function main(options: MainOptions): Promise<number> {
  const secrets: string[] = [];
  const say = (line: string): void => options.out(`${secrets.reduce(withoutSecret, line)}\n`);
  try {
    const asked = readArguments(options.argv);
    if (asked === undefined) {
      options.out(USAGE);
      return 0;
    }
    const settings = readDeploySettings({
      file: await readEnvFile(options, asked.envFile),
      environment: options.env,
      needsKey: !asked.dryRun,
    });
    secrets.push(...secretsOf(settings));
    for (const handler of asked.handlers) await deploy(handler, asked, settings, { ...options, say });
    return 0;
  } catch (error) {
    say(`deploy: ${messageOf(error)}`);
    return error instanceof UsageError || error instanceof SettingsError ? 2 : 1;
  }
}

/** A file that is named must be there; `.env` may be missing. */
async function readEnvFile(
  { folder }: MainOptions,
  named: string | undefined,
): Promise<Record<string, string | undefined>> {
  try {
    return parseEnv(await readFile(join(folder, named ?? '.env'), 'utf8'));
  } catch (error) {
    if (named === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new SettingsError(`${named ?? '.env'} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function secretsOf({ RUNPOD_API_KEY: key, workerEnv }: DeploySettings): string[] {
  const values = Object.entries(workerEnv).filter(([name]) => isSecretKey(name));
  return [...(key === undefined ? [] : [key]), ...values.map(([, value]) => value)];
}

type Context = MainOptions & { say: (line: string) => void };

const ENDPOINT_KEYS = {
  embedding: 'RUNPOD_ENDPOINT_EMBEDDING',
  cls: 'RUNPOD_ENDPOINT_CLS_TRAINING',
} as const satisfies Record<HandlerName, keyof DeploySettings>;

async function deploy(
  handler: HandlerName,
  { dryRun, rollback }: Asked,
  settings: DeploySettings,
  context: Context,
): Promise<void> {
  const { folder, say, signal } = context;
  const { RUNPOD_API_KEY: _, ...env } = context.env;
  const commands = createCommands({ folder, env, signal });
  const build = rollback === undefined ? await planBuild(handler, settings, commands, folder) : undefined;
  const target: Target = {
    name: `${settings.DEPLOY_NAME}-${handler}`,
    endpointId: settings[ENDPOINT_KEYS[handler]],
    image: build?.image ?? imageOf(settings.IMAGE_REPOSITORY, handler, rollback ?? ''),
    settings,
  };
  const smokeInput = await readSmokeInput(folder, handler);
  say(`${handler}: ${target.image}`);
  if (dryRun) {
    printDryRun({ target, build, smokeInput, say });
    return;
  }
  const { RUNPOD_API_KEY: key = '' } = settings;
  const urls = { restUrl: settings.RUNPOD_REST_URL, jobsUrl: settings.RUNPOD_JOBS_URL };
  const runpod = createRunPod({ key, ...urls, signal });
  try {
    // Asked first: a key that is refused is known before minutes of building.
    const before = await readBefore(runpod, target);
    await publish(commands, target.image, build, say);
    const undoing = createRunPod({ key, ...urls, signal: new AbortController().signal });
    try {
      await applyAndTest({ runpod, undoing, target, before, smokeInput, handler }, context);
    } finally {
      await undoing.close();
    }
  } finally {
    await runpod.close();
  }
}

async function planBuild(
  handler: HandlerName,
  settings: DeploySettings,
  commands: Commands,
  folder: string,
): Promise<Build> {
  const commit = await commitOf(commands);
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
  return { handler, commit, version, image: imageOf(settings.IMAGE_REPOSITORY, handler, tagOf(commit)) };
}

async function readSmokeInput(folder: string, handler: HandlerName): Promise<unknown> {
  const path = `handlers/${handler}.test_input.json`;
  try {
    return (JSON.parse(await readFile(join(folder, path), 'utf8')) as { input: unknown }).input;
  } catch (error) {
    throw new HandlerError('no_test_input', `${path}, the smoke job, cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function publish(
  commands: Commands,
  image: string,
  build: Build | undefined,
  say: (line: string) => void,
): Promise<void> {
  if (build === undefined) {
    if (!(await isPushed(commands, image)))
      throw new HandlerError(
        'no_such_image',
        `docker finds no ${image} in the registry: nothing was changed`,
      );
    return;
  }
  await assertCommitted(commands);
  if (await isPushed(commands, image)) say('the image of this commit is in the registry already');
  else await buildAndPush(commands, build);
}

interface Deployment {
  runpod: RunPod;
  /** The same, but for what must be done after a stop too. */
  undoing: RunPod;
  target: Target;
  before: Awaited<ReturnType<typeof readBefore>>;
  smokeInput: unknown;
  handler: HandlerName;
}

async function applyAndTest(
  { runpod, undoing, target, before, smokeInput, handler }: Deployment,
  { say, signal, pollMs = POLL_MS }: Context,
): Promise<void> {
  const { settings, image } = target;
  signal.throwIfAborted();
  // Not cut off half-way: between template and endpoint there is no state to stay in.
  const { endpoint, undo } = await apply(undoing, target, before, say);
  try {
    await smokeTest({
      runpod,
      endpointId: endpoint.id,
      image,
      input: smokeInput,
      workerWaitMs: settings.DEPLOY_WORKER_WAIT_S * 1_000,
      timeoutMs: settings.DEPLOY_SMOKE_TIMEOUT_S * 1_000,
      pollMs,
      say,
      signal,
    });
  } catch (error) {
    say(messageOf(error));
    if (undo !== undefined) say(await undo());
    else say(`endpoint ${endpoint.id} stays as it is: there is nothing to go back to`);
    throw new HandlerError('deploy_failed', `${image} is not deployed`, { cause: error });
  }
  say(`${image} serves at endpoint ${endpoint.id}`);
  if (target.endpointId === undefined) say(`for submitting: ${ENDPOINT_KEYS[handler]}=${endpoint.id}`);
}
